/**
 * Counts the tasks that this process adds, whatever adds them: `add` and `addBulk` of a Queue, flows, and job
 * schedulers. All of them end in a method of the backend, which this wraps.
 *
 * @module
 */
import type { Metrics } from '@data20/metrics-core'
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { Job, ObservableFlowProducer, ObservableWorker } from './bullmq.ts'
import type { Instruments } from './instruments.ts'
import type { Names } from './names.ts'

/** A job that a backend was asked to add. A flow names the queue and its prefix. */
export interface Added {
  task: string
  queueName?: string
  prefix?: string | undefined
}

/** An element of `addJobs` or `addFlow`. */
interface Entry {
  job?: { name: string }
  jobData?: { name: string }
  queueName?: string
  prefix?: string
}

/** By the method of the backend: returns the jobs that were added, of the arguments and the answer. */
const readers: Record<string, (args: readonly unknown[], answer: unknown) => readonly Added[]> = {
  addJob: ([job]) => [{ task: (job as { name: string }).name }],
  addJobs: ([entries]) => (entries as Entry[]).map(({ job }) => ({ task: job!.name })),
  addFlow([entries], answer) {
    const results = answer as Array<[error: unknown, idOrCode: unknown]>
    return (entries as Entry[])
      .filter((_entry, index) => isAdded(results[index]))
      .map(({ jobData, queueName, prefix }) => ({ task: jobData!.name, queueName: queueName!, prefix }))
  },
  addJobScheduler: ([, , , , scheduler]) => [{ task: (scheduler as { name: string }).name }],
}

/** A negative number is an error, as for a parent that does not exist. */
function isAdded(result: [error: unknown, idOrCode: unknown] | undefined): boolean {
  return result !== undefined && !result[0] && !(typeof result[1] === 'number' && result[1] < 0)
}

/** Calls `onAdded` for each job that a backend has added until the function returned is called. */
export function measureAdding(backend: object, onAdded: (added: Added) => void): () => void {
  let isMeasuring = true
  const undo = Object.entries(readers)
    .filter(([method]) => typeof (backend as Record<string, unknown>)[method] === 'function')
    .map(([method, read]) => patch(backend, method, (original) => measured(original, read)))

  return () => {
    isMeasuring = false
    for (const restore of undo) restore()
  }

  function measured(original: Method, read: (typeof readers)[string]): Method {
    return function (...args) {
      const adding = original.apply(this, args) as Promise<unknown>
      // What was not added is the application's to handle.
      if (isMeasuring) adding.then((answer) => read(args, answer).forEach(onAdded), ignore)
      return adding
    }
  }
}

/**
 * Counts what a flow producer adds to each queue until the function returned is called. A flow can add to queues that
 * share a label; what it adds to the second one is not counted, and is a callback error.
 */
export function observeFlows(
  producer: ObservableFlowProducer,
  names: Names,
  instruments: Instruments,
  metrics: Metrics,
): () => void {
  const backend = producer.getBackend() as FlowBackend
  const counters = new Map<string, (task: string) => void>()
  const undo = measureAdding(backend, ({ task, queueName = '', prefix }) => counterOf(queueName, prefix)(task))

  return () => {
    undo()
    names.release(producer)
  }

  function counterOf(queueName: string, prefix: string | undefined): (task: string) => void {
    const key = `${prefix ?? ''}:${queueName}`
    const counter = counters.get(key) ?? bind(queueName, prefix)
    counters.set(key, counter)
    return counter
  }

  function bind(name: string, prefix: string | undefined): (task: string) => void {
    try {
      const { qualifiedName } = backend.forQueue(name, prefix)
      return instruments.bindAdded(names.claim(producer, { name, qualifiedName }))
    } catch (error) {
      return () => metrics.callbackError('queue-metrics', error)
    }
  }
}

interface FlowBackend {
  forQueue(name: string, prefix: string | undefined): { qualifiedName: string }
}

/**
 * Counts the next job of each scheduler, which a worker adds right before it emits `active` for the current one, until
 * the function returned is called.
 */
export function observeScheduling(worker: ObservableWorker, count: (task: string) => void): () => void {
  const producers = new Set<string>()
  const undo = patch(worker.getBackend(), 'updateJobSchedulerNextMillis', (original) => {
    return function (...args) {
      const scheduling = original.apply(this, args) as Promise<unknown>
      // There is none when the scheduler was removed or has reached its end.
      scheduling.then((id) => id && producers.add(args[4] as string), ignore)
      return scheduling
    }
  })
  worker.on('active', onActive)

  return () => {
    worker.off('active', onActive)
    undo()
  }

  function onActive(job: Job): void {
    if (producers.size > 0 && producers.delete(job.id)) count(job.name)
  }
}

function ignore(): void {}
