/**
 * The options of queue-metrics.
 *
 * @module
 */
import {
  checkBuckets,
  checkList,
  checkOptionNames,
  InvalidOptionError,
  type OptionNames,
} from '@data20/metrics-core/plugin'
import type { ObservableFlowProducer, ObservableQueue, ObservableWorker } from './bullmq.ts'
import { definitions } from './metrics.ts'

export interface QueueMetricsOptions {
  /**
   * Queues whose state is read from the broker on each scrape. `observe` adds more later.
   * @default []
   */
  queues?: readonly ObservableQueue[]

  /**
   * Workers whose jobs are counted. `observe` adds more later. What a worker does before it is observed is not counted.
   * @default []
   */
  workers?: readonly ObservableWorker[]

  /**
   * FlowProducers whose tasks are counted as added. `observe` adds more later.
   * @default []
   */
  flowProducers?: readonly ObservableFlowProducer[]

  /**
   * Returns the label `queue` of a queue, which is its `name` by default. Queues of one name that differ in their
   * prefix, server or database need labels of their own: without them, observing the second one throws. Gets the Queue
   * or Worker itself; for a task of a flow, an object with `name` and `qualifiedName`.
   */
  queueLabel?: (queue: { name: string; qualifiedName: string }) => string

  /**
   * Job names known beforehand, by the label `queue`: `{ mail: ['welcome', 'digest'] }`. Their series exist at 0 as
   * soon as the queue or a worker of it is observed, and are never folded into the overflow series. Other names get
   * their series with their first job, up to the cardinality limit of metrics-core, which bounds job names that contain
   * ids.
   * @default {}
   */
  taskNames?: Readonly<Record<string, readonly string[]>>

  /**
   * Bucket boundaries of `queue_task_duration_seconds`, in seconds. A threshold that an alert uses must be a boundary:
   * `histogram_quantile` never returns more than the last one.
   * @default 0.01 0.05 0.1 0.5 1 5 10 30 60 120 300 600 1800
   */
  buckets?: readonly number[]

  /**
   * Bucket boundaries of `queue_task_wait_seconds`, in seconds.
   * @default 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 120 300 600 1800
   */
  waitBuckets?: readonly number[]
}

/** The options with their defaults. */
export type ResolvedOptions = Required<QueueMetricsOptions>

const NAMES: OptionNames<QueueMetricsOptions> = {
  queues: ['queue'],
  workers: ['worker'],
  flowProducers: ['flowProducer', 'flows'],
  queueLabel: ['label'],
  taskNames: ['tasks', 'jobs', 'jobNames'],
  buckets: ['histogramBuckets', 'durationBuckets'],
  waitBuckets: [],
}

/** Resolves the defaults. Throws an `InvalidOptionError` for a value that cannot work. */
export function resolveOptions(options: QueueMetricsOptions): ResolvedOptions {
  checkOptionNames('queue-metrics', options, NAMES)
  const {
    queues = [],
    workers = [],
    flowProducers = [],
    queueLabel = ({ name }) => name,
    taskNames = {},
    buckets = definitions.duration.buckets,
    waitBuckets = definitions.wait.buckets,
  } = options
  checkList(queues, 'queues')
  checkList(workers, 'workers')
  checkList(flowProducers, 'flowProducers')
  if (typeof queueLabel !== 'function') throw new InvalidOptionError('queueLabel', 'a function', queueLabel)
  checkBuckets(buckets)
  checkBuckets(waitBuckets, 'waitBuckets')
  for (const [queue, names] of Object.entries(taskNames)) checkList(names, `taskNames.${queue}`)
  return { queues, workers, flowProducers, queueLabel, taskNames, buckets, waitBuckets }
}
