/**
 * Everything that queue-metrics uses of BullMQ 6, as structural types: the plugin does not depend on BullMQ.
 *
 * @module
 */

/** What a Queue, a Worker and a FlowProducer have in common. */
interface Connected {
  /** The options that it was made with. */
  readonly opts: { readonly connection?: unknown; readonly prefix?: string | undefined }
  /** Set from the call of `close()` on. */
  readonly closing?: Promise<unknown> | undefined
  getBackend(): object
}

/** The part of BullMQ's `Queue` that is used. Every Queue has it, whatever its types and its backend. */
export interface ObservableQueue extends Connected {
  readonly name: string
  /** The name with the prefix. */
  readonly qualifiedName: string
  getJobCounts(...states: string[]): Promise<Record<string, number>>
  getWorkers(): Promise<Array<Record<string, string>>>
  isPaused(): Promise<boolean>
}

/** The part of BullMQ's `Worker` that is used. Every Worker has it, whatever its types and its backend. */
export interface ObservableWorker extends Connected {
  /** The name of the queue. */
  readonly name: string
  /** The name with the prefix. */
  readonly qualifiedName: string
  readonly concurrency: number
  isRunning(): boolean
  isPaused(): boolean
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
}

/** The part of BullMQ's `FlowProducer` that is used. */
export interface ObservableFlowProducer extends Connected {
  getFlow(options: never): Promise<unknown>
}

export type Observable = ObservableQueue | ObservableWorker | ObservableFlowProducer

/** The part of BullMQ's `Job` that is used. Times are milliseconds since the epoch. */
export interface Job {
  id: string
  name: string
  timestamp: number
  opts: { delay?: number }
  processedOn?: number
  finishedOn?: number
  attemptsStarted: number
  attemptsMade: number
  stalledCounter: number
  /** An array; a text of JSON before BullMQ has made a job of the data. */
  stacktrace: string[] | string | null
}

/**
 * Returns whether a job was started before its current attempt: it returns by a retry, a stall or a postponement. A
 * retry by hand can reset `attemptsStarted`, and `attemptsMade` too; then the traces of failed attempts tell, which the
 * PostgreSQL backend deletes.
 */
export function wasStartedBefore({ attemptsStarted, attemptsMade, stalledCounter, stacktrace }: Job): boolean {
  if (attemptsStarted > 1 || attemptsMade > 0 || stalledCounter > 0) return true
  return Boolean(stacktrace && stacktrace.length > 0 && stacktrace !== '[]')
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

export function isFlowProducer(target: unknown): target is ObservableFlowProducer {
  return typeof (target as Partial<ObservableFlowProducer> | null | undefined)?.getFlow === 'function'
}
