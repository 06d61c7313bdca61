/**
 * The instruments of one application, and which of their series exist from the start.
 *
 * @module
 */
import type { Counter, Gauge, Histogram, Metrics } from '@data20/metrics-core'
import { checkBuckets, checkList } from '@data20/metrics-core/plugin'
import { definitions, OUTCOMES } from './metrics.ts'
import type { QueueMetricsOptions } from './options.ts'

type Task = 'queue' | 'task_name'

export interface Instruments {
  tasks: Counter<Task | 'status'>
  retries: Counter<Task>
  duration: Histogram<Task>
  wait: Histogram<Task>
  active: Gauge<Task>
  stalled: Counter<'queue'>
  length: Gauge<'queue'>
  jobs: Gauge<'queue' | 'state'>
  oldestWaiting: Gauge<'queue'>
  workers: Gauge<'queue'>
  paused: Gauge<'queue'>
  up: Gauge<'queue'>
  /**
   * The method that gives a queue's series: those of the queues in the options are reserved, those of queues watched later
   * are under the cap.
   */
  methodFor(queue: string): 'reserve' | 'labels'
  /** Makes the series of a queue's known tasks at zero. */
  createKnownTasks(queue: string): void
  /** Makes the series of a task at zero, so that its first outcome is an increase. */
  createTask(queue: string, taskName: string): void
}

export function createInstruments(metrics: Metrics, options: QueueMetricsOptions): Instruments {
  const {
    queues = [],
    workers = [],
    taskNames = {},
    buckets = definitions.duration.buckets,
    waitBuckets = definitions.wait.buckets,
  } = options

  checkBuckets(waitBuckets, 'waitBuckets')
  for (const [queue, names] of Object.entries(taskNames)) checkList(names, `taskNames.${queue}`)
  const knownQueues = new Set([...queues, ...workers].map(({ name }) => name))
  const tasks = metrics.counter(definitions.tasks)
  const retries = metrics.counter(definitions.retries)
  const duration = metrics.histogram({ ...definitions.duration, buckets })
  const wait = metrics.histogram({ ...definitions.wait, buckets: waitBuckets })
  const active = metrics.gauge(definitions.active)

  return {
    tasks,
    retries,
    duration,
    wait,
    active,
    stalled: metrics.counter(definitions.stalled),
    length: metrics.gauge(definitions.length),
    jobs: metrics.gauge(definitions.jobs),
    oldestWaiting: metrics.gauge(definitions.oldestWaiting),
    workers: metrics.gauge(definitions.workers),
    paused: metrics.gauge(definitions.paused),
    up: metrics.gauge(definitions.up),
    methodFor: (queue) => (knownQueues.has(queue) ? 'reserve' : 'labels'),
    createKnownTasks,
    createTask,
  }

  function createKnownTasks(queue: string): void {
    for (const task_name of taskNames[queue] ?? []) {
      for (const status of OUTCOMES) tasks.reserve({ queue, status, task_name })
      for (const instrument of [retries, duration, wait, active]) instrument.reserve({ queue, task_name })
    }
  }

  function createTask(queue: string, task_name: string): void {
    for (const status of OUTCOMES) tasks.labels({ queue, status, task_name })
    for (const instrument of [retries, duration, wait, active]) instrument.labels({ queue, task_name })
  }
}
