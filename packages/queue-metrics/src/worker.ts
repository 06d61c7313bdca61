/**
 * A worker, watched: outcomes by the events that it emits once the broker has confirmed them, running time by a wrapper
 * around the call of the processor.
 *
 * @module
 */
import type { GaugeSeries } from '@data20/metrics-core'
import type { Instruments } from './instruments.ts'

/** As much of BullMQ's `Worker` as is used; every Worker is one, whatever its types and its backend. */
export interface WatchedWorker {
  /** The queue's name. */
  readonly name: string
  isRunning(): boolean
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
}

/** As much of BullMQ's `Job` as is used. Times are milliseconds since the epoch. */
interface Job {
  name: string
  timestamp: number
  opts: { delay?: number }
  processedOn?: number
  finishedOn?: number
  attemptsStarted: number
}

/** The method by which BullMQ 6 calls every processor, sandboxed ones included. Protected, and what tracing libraries wrap as well. */
interface Processing {
  callProcessJob(job: Job, ...rest: unknown[]): Promise<unknown>
}

/** One call of the processor. */
interface Run {
  active: GaugeSeries
  startMs: number
  /** Set when the call has ended. */
  seconds?: number
}

export function isWorker(target: unknown): target is WatchedWorker {
  return typeof (target as Partial<Processing> | null | undefined)?.callProcessJob === 'function'
}

/**
 * Counts what a worker does until it is closed, or until the function returned is called. `onClosed` is called in the
 * first case.
 */
export function watchWorker(worker: WatchedWorker, instruments: Instruments, onClosed: () => void): () => void {
  const queue = worker.name
  const { active, tasks, retries, duration, wait } = instruments
  const listeners = { active: onActive, completed: onCompleted, failed: onFailed, stalled: onStalled, closed: onClosed }
  const runs = new WeakMap<Job, Run>()
  const running = new Set<Run>()

  const stalled = instruments.stalled[instruments.methodFor(queue)]({ queue })
  instruments.createKnownTasks(queue)
  const stopMeasuring = measureProcessing(worker as unknown as Processing, start, end)
  for (const [event, listener] of Object.entries(listeners)) worker.on(event, listener)

  return () => {
    for (const [event, listener] of Object.entries(listeners)) worker.off(event, listener)
    stopMeasuring()
    // A worker that was closed by force has given up its jobs, though their processors may still run.
    for (const run of running) end(run)
  }

  function onActive(job: Job): void {
    const task_name = job.name
    instruments.createTask(queue, task_name)
    // Counts starts, so that a job that comes back by a retry, a stall or a postponement is not observed again.
    if (job.attemptsStarted !== 1) return
    const dueMs = job.timestamp + (job.opts.delay ?? 0)
    // The clocks are those of the producer and of this process, and a delayed job can be promoted before it is due.
    wait.labels({ queue, task_name }).observe(Math.max(0, (job.processedOn ?? Date.now()) - dueMs) / 1000)
  }

  function start(job: Job): Run {
    const run = { active: active.labels({ queue, task_name: job.name }), startMs: performance.now() }
    run.active.inc()
    running.add(run)
    runs.set(job, run)
    return run
  }

  /** Whatever became of the job; events do not tell of a lost lock or of a job that was postponed. */
  function end(run: Run): void {
    if (!running.delete(run)) return
    run.active.dec()
    run.seconds = (performance.now() - run.startMs) / 1000
  }

  function onCompleted(job: Job): void {
    tasks.inc({ queue, status: 'completed', task_name: job.name })
    observeDuration(job)
  }

  function onFailed(job: Job): void {
    // Emitted for each failed attempt; BullMQ has decided already whether there is another, and dates the end if not.
    if (job.finishedOn) tasks.inc({ queue, status: 'failed', task_name: job.name })
    else retries.inc({ queue, task_name: job.name })
    observeDuration(job)
  }

  /** A job that stalled too often is failed by the next worker without a call of the processor: nothing was worked on. */
  function observeDuration(job: Job): void {
    const seconds = runs.get(job)?.seconds
    if (seconds !== undefined) duration.labels({ queue, task_name: job.name }).observe(seconds)
  }

  function onStalled(): void {
    stalled.inc()
  }
}

/** Calls `start` and `end` around each call of the processor; the function returned undoes it. */
function measureProcessing(worker: Processing, start: (job: Job) => Run, end: (run: Run) => void): () => void {
  const { callProcessJob } = worker
  let isMeasuring = true
  worker.callProcessJob = measured

  return () => {
    isMeasuring = false
    // Somebody may have wrapped the wrapper since.
    if (worker.callProcessJob === measured) worker.callProcessJob = callProcessJob
  }

  async function measured(job: Job, ...rest: unknown[]): Promise<unknown> {
    if (!isMeasuring) return callProcessJob.call(worker, job, ...rest)
    const run = start(job)
    try {
      return await callProcessJob.call(worker, job, ...rest)
    } finally {
      end(run)
    }
  }
}
