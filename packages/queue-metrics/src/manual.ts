/**
 * Observes the jobs that an application takes with `worker.getNextJob()`. BullMQ emits no event for their end, so this
 * wraps the methods of the worker's backend through which a job leaves the active state.
 *
 * @module
 */
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { Job, ObservableWorker } from './bullmq.ts'

/** What is told about jobs that are taken by hand. `start` returns what `end` gets. */
export interface ManualHandlers<Run> {
  start(job: Job): Run
  end(run: Run): void
  completed(job: Job): void
  failed(job: Job, error: unknown, isFinal: boolean): void
}

type Outcomes = Pick<ManualHandlers<never>, 'completed' | 'failed'>

/** Tells the outcome of a job that a method of the backend has moved. Returns false when the job stays active. */
type Settle = (job: Job, handlers: Outcomes, answer: unknown, args: readonly unknown[]) => boolean

/** What BullMQ stores about a failed attempt. The stack traces are JSON, the newest last. */
interface Failure {
  fieldsToUpdate?: { stacktrace?: string }
  /** Set when the job is postponed, and no attempt has failed. */
  skipAttempt?: boolean
}

/** By the method of the backend; the first argument of each is the job or its id. */
const settlers: Record<string, Settle> = {
  moveToCompleted(job, handlers) {
    handlers.completed(job)
    return true
  },
  moveToFailed(job, handlers, _answer, args) {
    handlers.failed(job, errorOf({ fieldsToUpdate: args[5] as Failure['fieldsToUpdate'] }), true)
    return true
  },
  retryJob(job, handlers, _answer, args) {
    handlers.failed(job, errorOf(args[3] as Failure), false)
    return true
  },
  moveToDelayed(job, handlers, _answer, args) {
    const failure = args[4] as Failure | undefined
    if (failure?.skipAttempt !== true) handlers.failed(job, errorOf(failure), false)
    return true
  },
  moveJobFromActiveToWait: () => true,
  moveToWaitingChildren: (_job, _handlers, answer) => answer === true,
}

/**
 * Measures jobs that are taken by hand until the function returned is called. The backend is wrapped when the first one
 * is taken, so a worker with a processor pays nothing.
 */
export function measureManualJobs<Run>(worker: ObservableWorker, handlers: ManualHandlers<Run>): () => void {
  const taken = new Map<string, { job: Job; run: Run }>()
  const undo: Array<() => void> = []
  let isMeasuring = true
  let isWrapped = false

  undo.push(
    patch(worker, 'getNextJob', (getNextJob) => {
      return function (...args) {
        const taking = getNextJob.apply(this, args) as Promise<Job | undefined>
        // The first to wait for the job, so that the application finds it measured.
        taking.then(take, ignore)
        return taking
      }
    }),
  )

  return () => {
    isMeasuring = false
    for (const restore of undo) restore()
    for (const id of taken.keys()) release(id)
  }

  function take(job: Job | undefined): void {
    if (job === undefined || !isMeasuring) return
    if (!isWrapped) wrapBackend()
    // A job that stalled can be taken again.
    release(job.id)
    taken.set(job.id, { job, run: handlers.start(job) })
  }

  function release(id: string): void {
    const entry = taken.get(id)
    if (entry === undefined) return
    taken.delete(id)
    handlers.end(entry.run)
  }

  function wrapBackend(): void {
    isWrapped = true
    const backend = worker.getBackend()
    for (const [method, settle] of Object.entries(settlers)) {
      undo.push(patch(backend, method, (original) => measured(original, settle)))
    }
  }

  function measured(original: Method, settle: Settle): Method {
    return function (...args) {
      const moving = original.apply(this, args) as Promise<unknown>
      const id = idOf(args[0])
      // A move that is refused, because the lock was lost, ends the attempt too.
      if (taken.has(id))
        moving.then(
          (answer) => onMoved(id, settle, answer, args),
          () => release(id),
        )
      return moving
    }
  }

  function onMoved(id: string, settle: Settle, answer: unknown, args: readonly unknown[]): void {
    const job = taken.get(id)?.job
    if (job === undefined || !settle(job, handlers, answer, args)) return
    release(id)
    take(nextJobOf(answer))
  }
}

function ignore(): void {}

function idOf(jobOrId: unknown): string {
  return typeof jobOrId === 'string' ? jobOrId : (jobOrId as Job).id
}

/**
 * Returns the job that the broker gave with its answer; the application makes a `Job` of the same data. The answer is
 * the data and the id, or has them as `result`.
 */
function nextJobOf(answer: unknown): Job | undefined {
  const next = (answer as { result?: unknown } | null | undefined)?.result ?? answer
  if (!Array.isArray(next)) return undefined
  const [data, id] = next as [data?: Job | null, id?: string]
  return data && id ? { ...data, id } : undefined
}

/** Returns an error of the class that the stored stack trace begins with. */
function errorOf(failure: Failure | undefined): unknown {
  const traces: unknown = JSON.parse(failure?.fieldsToUpdate?.stacktrace ?? '[]')
  return { stack: Array.isArray(traces) ? traces.at(-1) : undefined }
}
