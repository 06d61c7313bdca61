import type { WatchedQueue } from './queue.ts'
import type { WatchedWorker } from './worker.ts'

export interface QueueMetricsOptions {
  /**
   * Queues whose state is read from the broker at each scrape; `watch` adds more later.
   * @default []
   */
  queues?: readonly WatchedQueue[]

  /**
   * Workers whose jobs are counted; `watch` adds more later. What a worker does before it is watched is not counted.
   * @default []
   */
  workers?: readonly WatchedWorker[]

  /**
   * Job names known beforehand, by queue: `{ mail: ['welcome', 'digest'] }`. Their series exist at 0 as soon as a worker
   * of the queue is watched, and are never folded into the overflow series. Other names get theirs when a job of that
   * name first starts, up to the cap of metrics-core: a job name with an id in it ends there.
   * @default {}
   */
  taskNames?: Readonly<Record<string, readonly string[]>>

  /**
   * Upper bounds of `queue_task_duration_seconds`, in seconds. A threshold that somebody is alerted on must be a bound:
   * `histogram_quantile` never says more than the last one.
   * @default 0.01 0.05 0.1 0.5 1 5 10 30 60 120 300 600 1800
   */
  buckets?: readonly number[]

  /**
   * Upper bounds of `queue_task_wait_seconds`, in seconds.
   * @default 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 120 300 600 1800
   */
  waitBuckets?: readonly number[]
}
