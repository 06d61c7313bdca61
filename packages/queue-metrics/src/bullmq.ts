/**
 * Everything that queue-metrics uses of BullMQ 6, as structural types: the plugin does not depend on BullMQ.
 *
 * @module
 */

/** The part of BullMQ's `Queue` that is used. Every Queue has it, whatever its types and its backend. */
export interface ObservableQueue {
  readonly name: string
  /** Set from the call of `close()` on. */
  readonly closing: Promise<void> | undefined
  getJobCounts(...states: string[]): Promise<Record<string, number>>
  getWorkersCount(): Promise<number>
  isPaused(): Promise<boolean>
  getBackend(): object
}

/** The part of BullMQ's `Worker` that is used. Every Worker has it, whatever its types and its backend. */
export interface ObservableWorker {
  /** The name of the queue. */
  readonly name: string
  isRunning(): boolean
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
}

/** The part of BullMQ's `Job` that is used. Times are milliseconds since the epoch. */
export interface Job {
  name: string
  timestamp: number
  opts: { delay?: number }
  processedOn?: number
  finishedOn?: number
  attemptsStarted: number
}

/**
 * The method by which BullMQ 6 calls every processor, sandboxed ones included. It is protected; tracing libraries wrap
 * it too.
 */
export interface Processing {
  callProcessJob(job: Job, ...rest: unknown[]): Promise<unknown>
}

export function isQueue(target: unknown): target is ObservableQueue {
  return typeof (target as Partial<ObservableQueue> | null | undefined)?.getJobCounts === 'function'
}

export function isWorker(target: unknown): target is ObservableWorker {
  return typeof (target as Partial<Processing> | null | undefined)?.callProcessJob === 'function'
}
