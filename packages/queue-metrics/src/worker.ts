/**
 * Observes a worker: outcomes by the events that it emits once the broker has confirmed them, working time by a wrapper
 * around the call of the processor.
 *
 * @module
 */
import type { Job, ObservableWorker, Processing } from './bullmq.ts'
import type { Instruments, TaskSeries } from './instruments.ts'

/** One call of the processor. */
interface Run {
  series: TaskSeries
  startMs: number
  /** Set when the call has ended. */
  seconds?: number
}

/**
 * Counts what a worker does until the worker is closed, or until the function returned is called.
 * Calls `onClosed` in the first case.
 */
export function observeWorker(worker: ObservableWorker, instruments: Instruments, onClosed: () => void): () => void {
  const { stalled, task } = instruments.bindWorker(worker.name)
  const listeners = { active: onActive, completed: onCompleted, failed: onFailed, stalled: onStalled, closed: onClosed }
  const runs = new WeakMap<Job, Run>()
  const running = new Set<Run>()

  const stopMeasuring = measureProcessing(worker as unknown as Processing, start, end)
  for (const [event, listener] of Object.entries(listeners)) worker.on(event, listener)

  return () => {
    for (const [event, listener] of Object.entries(listeners)) worker.off(event, listener)
    stopMeasuring()
    // A worker that was closed by force has given up its jobs, though their processors may still run.
    for (const run of running) end(run)
  }

  function onActive(job: Job): void {
    const { wait } = task(job.name)
    // `attemptsStarted` counts starts: a job that returns by a retry, a stall or a postponement is not observed again.
    if (job.attemptsStarted !== 1) return
    const dueMs = job.timestamp + (job.opts.delay ?? 0)
    // The times are from the clocks of the producer and of this process, and a delayed job can be promoted early.
    wait.observe(Math.max(0, (job.processedOn ?? Date.now()) - dueMs) / 1000)
  }

  function start(job: Job): Run {
    const run = { series: task(job.name), startMs: performance.now() }
    run.series.active.inc()
    running.add(run)
    runs.set(job, run)
    return run
  }

  /** Ends a run, whatever became of the job. No event tells of a lost lock or of a job that was postponed. */
  function end(run: Run): void {
    if (!running.delete(run)) return
    run.series.active.dec()
    run.seconds = (performance.now() - run.startMs) / 1000
  }

  function onCompleted(job: Job): void {
    const series = task(job.name)
    series.completed.inc()
    observeDuration(job, series)
  }

  function onFailed(job: Job): void {
    const series = task(job.name)
    // Emitted for each failed attempt. BullMQ sets `finishedOn` when there is no further one.
    if (job.finishedOn) series.failed.inc()
    else series.retries.inc()
    observeDuration(job, series)
  }

  /** A job that stalled too often is failed by the next worker without a call of the processor: it has no duration. */
  function observeDuration(job: Job, { duration }: TaskSeries): void {
    const seconds = runs.get(job)?.seconds
    if (seconds !== undefined) duration.observe(seconds)
  }

  function onStalled(): void {
    stalled.inc()
  }
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
