/**
 * Makes the instruments of queue-metrics and binds the series of each queue and task.
 *
 * @module
 */
import type { CounterSeries, GaugeSeries, HistogramSeries, Metrics } from '@data20/metrics-core'
import { definitions, type OUTCOMES, STATES } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'

/** The bound series of a queue's state. */
export interface QueueSeries {
  length: GaugeSeries
  jobs: Record<(typeof STATES)[number], GaugeSeries>
  oldestWaiting: GaugeSeries
  workers: GaugeSeries
  paused: GaugeSeries
  up: GaugeSeries
}

/** The bound series of a task. */
export interface TaskSeries extends Record<(typeof OUTCOMES)[number], CounterSeries> {
  retries: CounterSeries
  duration: HistogramSeries
  wait: HistogramSeries
  active: GaugeSeries
}

/** The bound series of a queue's workers in this process. */
export interface WorkerSeries {
  stalled: CounterSeries
  /** Returns the series of a task, at zero when they are new, so that its first outcome is an increase. */
  task(name: string): TaskSeries
}

export interface Instruments {
  /** Returns the series of a queue's state, which exist from now on. Queues of one name share them. */
  acquireQueue(queue: string): QueueSeries
  /** Removes the series of a queue when nobody else has acquired them. */
  releaseQueue(queue: string): void
  /** Returns the series of a queue's workers. Those of its known tasks exist at zero from now on. */
  bindWorker(queue: string): WorkerSeries
}

/** Tasks of a queue whose series are kept bound. Further ones, of job names that contain ids, are looked up. */
const MAX_BOUND_TASKS = 1000

/**
 * Makes the instruments. The series of queues in the options and of known tasks are reserved; those of queues that are
 * observed later, and of other tasks, count against the cardinality limit.
 */
export function createInstruments(metrics: Metrics, options: ResolvedOptions): Instruments {
  const { queues, workers, taskNames, buckets, waitBuckets } = options
  const knownQueues = new Set([...queues, ...workers].map(({ name }) => name))
  const tasks = metrics.counter(definitions.tasks)
  const retries = metrics.counter(definitions.retries)
  const duration = metrics.histogram({ ...definitions.duration, buckets })
  const wait = metrics.histogram({ ...definitions.wait, buckets: waitBuckets })
  const active = metrics.gauge(definitions.active)
  const stalled = metrics.counter(definitions.stalled)
  const length = metrics.gauge(definitions.length)
  const jobs = metrics.gauge(definitions.jobs)
  const oldestWaiting = metrics.gauge(definitions.oldestWaiting)
  const workersGauge = metrics.gauge(definitions.workers)
  const paused = metrics.gauge(definitions.paused)
  const up = metrics.gauge(definitions.up)
  const acquired = new Map<string, { series: QueueSeries; users: number }>()

  return { acquireQueue, releaseQueue, bindWorker }

  function acquireQueue(queue: string): QueueSeries {
    const entry = acquired.get(queue) ?? { series: bindQueue(queue), users: 0 }
    acquired.set(queue, entry)
    entry.users += 1
    return entry.series
  }

  function releaseQueue(queue: string): void {
    const entry = acquired.get(queue)
    if (entry === undefined) return
    entry.users -= 1
    if (entry.users > 0) return
    acquired.delete(queue)
    for (const gauge of [length, oldestWaiting, workersGauge, paused, up]) gauge.remove({ queue })
    for (const state of STATES) jobs.remove({ queue, state })
  }

  function bindQueue(queue: string): QueueSeries {
    const method = knownQueues.has(queue) ? 'reserve' : 'labels'
    return {
      length: length[method]({ queue }),
      jobs: byKey(STATES, (state) => jobs[method]({ queue, state })),
      oldestWaiting: oldestWaiting[method]({ queue }),
      workers: workersGauge[method]({ queue }),
      paused: paused[method]({ queue }),
      up: up[method]({ queue }),
    }
  }

  function bindWorker(queue: string): WorkerSeries {
    const bound = new Map((taskNames[queue] ?? []).map((name) => [name, bindTask(queue, name, 'reserve')]))
    return { stalled: knownQueues.has(queue) ? stalled.reserve({ queue }) : stalled.labels({ queue }), task }

    function task(name: string): TaskSeries {
      const known = bound.get(name)
      if (known !== undefined) return known
      const series = bindTask(queue, name, 'labels')
      if (bound.size < MAX_BOUND_TASKS) bound.set(name, series)
      return series
    }
  }

  function bindTask(queue: string, task_name: string, method: 'reserve' | 'labels'): TaskSeries {
    return {
      completed: tasks[method]({ queue, status: 'completed', task_name }),
      failed: tasks[method]({ queue, status: 'failed', task_name }),
      retries: retries[method]({ queue, task_name }),
      duration: duration[method]({ queue, task_name }),
      wait: wait[method]({ queue, task_name }),
      active: active[method]({ queue, task_name }),
    }
  }
}

function byKey<Key extends string, Value>(keys: readonly Key[], make: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>
}
