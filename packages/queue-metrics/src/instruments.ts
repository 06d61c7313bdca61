/**
 * Makes the instruments of queue-metrics and binds the series of each queue and task.
 *
 * @module
 */
import type { CounterSeries, GaugeSeries, HistogramSeries, Metrics } from '@data20/metrics-core'
import { errorClassOf, OTHER } from './error-class.ts'
import { definitions, type OUTCOMES, STATES } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'

/** Sets the series of a queue's state. A series exists once it was set: what was never read is absent. */
export interface QueueSeries {
  length: Settable
  jobs: Record<(typeof STATES)[number], Settable>
  oldestWaiting: Settable
  workers: Settable
  paused: Settable
  up: Settable
}

export interface Settable {
  set(value: number): void
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
  /** Counts an error by its class; further classes than the limit are `other`. */
  countError(task: string, error: unknown): void
}

export interface Instruments {
  /** Returns the series of a queue's state. Queues of one label share them. `isKnown` reserves them. */
  acquireQueue(queue: string, isKnown: boolean): QueueSeries
  /** Removes the series of a queue when nobody else has acquired them. */
  releaseQueue(queue: string): void
  /** Returns the series of a queue's workers. Those of its known tasks exist at zero from now on. */
  bindWorker(queue: string, isKnown: boolean): WorkerSeries
  /** Returns a function that counts tasks added to a queue. Those of known tasks exist at zero from now on. */
  bindAdded(queue: string): (task: string) => void
  /** Shows the sums over the workers of a queue in this process; `undefined` when it has none. */
  setWorkers(queue: string, sums: { concurrency: number; paused: number } | undefined): void
}

/** Tasks of a queue whose series are kept bound. Further ones, of job names that contain ids, are looked up. */
const MAX_BOUND_TASKS = 1000
/** Classes of errors that have series of their own in one application. */
const MAX_ERROR_CLASSES = 100

/**
 * Makes the instruments. The series of queues in the options and of known tasks are reserved; those of queues that are
 * observed later, and of other tasks, count against the cardinality limit.
 */
export function createInstruments(metrics: Metrics, options: ResolvedOptions): Instruments {
  const { taskNames, buckets, waitBuckets } = options
  const tasks = metrics.counter(definitions.tasks)
  const retries = metrics.counter(definitions.retries)
  const errors = metrics.counter(definitions.errors)
  const added = metrics.counter(definitions.added)
  const duration = metrics.histogram({ ...definitions.duration, buckets })
  const wait = metrics.histogram({ ...definitions.wait, buckets: waitBuckets })
  const active = metrics.gauge(definitions.active)
  const stalled = metrics.counter(definitions.stalled)
  const workerConcurrency = metrics.gauge(definitions.workerConcurrency)
  const workerPaused = metrics.gauge(definitions.workerPaused)
  const state = createQueueState(metrics)
  const errorClasses = new Set<string>()

  return { ...state, bindWorker, bindAdded, setWorkers }

  function bindWorker(queue: string, isKnown: boolean): WorkerSeries {
    const task = cached(taskNames[queue], (name, method) => bindTask(queue, name, method))
    return { stalled: stalled[isKnown ? 'reserve' : 'labels']({ queue }), task, countError }

    function countError(task_name: string, error: unknown): void {
      errors.labels({ queue, task_name, error: limitedClassOf(error) }).inc()
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

  function bindAdded(queue: string): (task: string) => void {
    const series = cached(taskNames[queue], (task_name, method) => added[method]({ queue, task_name }))
    return (task) => series(task).inc()
  }

  function setWorkers(queue: string, sums: { concurrency: number; paused: number } | undefined): void {
    if (sums === undefined) {
      for (const gauge of [workerConcurrency, workerPaused]) gauge.remove({ queue })
      return
    }
    workerConcurrency.set({ queue }, sums.concurrency)
    workerPaused.set({ queue }, sums.paused)
  }

  function limitedClassOf(error: unknown): string {
    const name = errorClassOf(error)
    if (errorClasses.size < MAX_ERROR_CLASSES) errorClasses.add(name)
    return errorClasses.has(name) ? name : OTHER
  }
}

/** The gauges that are read from the broker. */
function createQueueState(metrics: Metrics): Pick<Instruments, 'acquireQueue' | 'releaseQueue'> {
  const length = metrics.gauge(definitions.length)
  const jobs = metrics.gauge(definitions.jobs)
  const oldestWaiting = metrics.gauge(definitions.oldestWaiting)
  const workers = metrics.gauge(definitions.workers)
  const paused = metrics.gauge(definitions.paused)
  const up = metrics.gauge(definitions.up)
  const acquired = new Map<string, { series: QueueSeries; users: number }>()

  return { acquireQueue, releaseQueue }

  function acquireQueue(queue: string, isKnown: boolean): QueueSeries {
    const entry = acquired.get(queue) ?? { series: bindQueue(queue, isKnown ? 'reserve' : 'labels'), users: 0 }
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
    for (const gauge of [length, oldestWaiting, workers, paused, up]) gauge.remove({ queue })
    for (const state of STATES) jobs.remove({ queue, state })
  }

  function bindQueue(queue: string, method: 'reserve' | 'labels'): QueueSeries {
    return {
      length: settable(() => length[method]({ queue })),
      jobs: byKey(STATES, (state) => settable(() => jobs[method]({ queue, state }))),
      oldestWaiting: settable(() => oldestWaiting[method]({ queue })),
      workers: settable(() => workers[method]({ queue })),
      paused: settable(() => paused[method]({ queue })),
      up: settable(() => up[method]({ queue })),
    }
  }
}

/** Makes the series when it is set for the first time. */
function settable(bind: () => GaugeSeries): Settable {
  let series: GaugeSeries | undefined
  return {
    set(value) {
      series ??= bind()
      series.set(value)
    },
  }
}

/** Returns a function that binds what belongs to a task and keeps it bound, within the limit. */
function cached<Bound>(known: readonly string[] = [], bind: (name: string, method: 'reserve' | 'labels') => Bound) {
  const bound = new Map(known.map((name) => [name, bind(name, 'reserve')]))
  return (name: string): Bound => {
    const existing = bound.get(name)
    if (existing !== undefined) return existing
    const series = bind(name, 'labels')
    if (bound.size < MAX_BOUND_TASKS) bound.set(name, series)
    return series
  }
}

function byKey<Key extends string, Value>(keys: readonly Key[], make: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>
}
