/**
 * Observes a worker: working time by a wrapper around the call of the processor, outcomes by the events that BullMQ
 * emits once the broker has confirmed them.
 *
 * @module
 */
import { type Job, type ObservableWorker, type Processing, wasStartedBefore } from './bullmq.ts'
import type { TaskSeries, WorkerSeries } from './instruments.ts'
import { measureManualJobs } from './manual.ts'

/** One attempt that this process works on. */
interface Run {
  series: TaskSeries
  startMs: number
  isActive: boolean
}

/** Counts what a worker does until the function returned is called. Calls `onClosed` when the worker is closed. */
export function observeWorker(worker: ObservableWorker, series: WorkerSeries, onClosed: () => void): () => void {
  const { stalled, task, countError } = series
  const listeners = { completed: onCompleted, failed: onFailed, stalled: onStalled, closed: onClosed }
  const running = new Set<Run>()

  const stopMeasuring = measureProcessing(worker as unknown as Processing, start, end)
  const stopManual = measureManualJobs(worker, { start, end, completed: onCompleted, failed: countFailure })
  for (const [event, listener] of Object.entries(listeners)) worker.on(event, listener)

  return () => {
    for (const [event, listener] of Object.entries(listeners)) worker.off(event, listener)
    stopMeasuring()
    stopManual()
    // A worker that was closed by force has given up its jobs, though their processors may still run.
    for (const run of running) giveUp(run)
  }

  function start(job: Job): Run {
    const run = { series: task(job.name), startMs: performance.now(), isActive: true }
    run.series.active.inc()
    running.add(run)
    if (!wasStartedBefore(job)) observeWait(job, run.series)
    return run
  }

  /** Ends an attempt, whatever became of the job: no event tells of a lost lock or of a job that was postponed. */
  function end(run: Run): void {
    giveUp(run)
    run.series.duration.observe((performance.now() - run.startMs) / 1000)
  }

  function giveUp(run: Run): void {
    running.delete(run)
    if (run.isActive) run.series.active.dec()
    run.isActive = false
  }

  function onCompleted(job: Job): void {
    task(job.name).completed.inc()
  }

  function onFailed(job: Job, error: unknown): void {
    // Emitted for each failed attempt. BullMQ sets `finishedOn` when there is no further one.
    countFailure(job, error, Boolean(job.finishedOn))
  }

  function countFailure(job: Job, error: unknown, isFinal: boolean): void {
    const { failed, retries } = task(job.name)
    if (isFinal) failed.inc()
    else retries.inc()
    countError(job.name, error)
  }

  function onStalled(): void {
    stalled.inc()
  }
}

function observeWait({ timestamp, opts, processedOn }: Job, { wait }: TaskSeries): void {
  const dueMs = timestamp + (opts.delay ?? 0)
  // The times are from the clocks of the producer and of this process, and a delayed job can be promoted early.
  wait.observe(Math.max(0, (processedOn ?? Date.now()) - dueMs) / 1000)
}

/** Calls `start` and `end` around each call of the processor. The function returned undoes it. */
function measureProcessing(worker: Processing, start: (job: Job) => Run, end: (run: Run) => void): () => void {
  const { callProcessJob } = worker
  let isMeasuring = true
  worker.callProcessJob = measured

  return () => {
    isMeasuring = false
    // Others may have wrapped the wrapper since.
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
