/**
 * The worker: takes runs from the queue, one attempt after another, and writes how they end.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { DelayedError, type Job, UnrecoverableError, WaitingError, type Worker } from 'bullmq'
import type { FastifyInstance } from 'fastify'
import { createToolPool } from '../knowledge/pool.ts'
import { describeFailure, type FailedRun } from './failure.ts'
import type { RunQueue } from './queue.ts'
import type { ClaimedRun, RunStore } from './store.ts'

/** Options of the worker. */
export interface RunWorkerOptions {
  store: RunStore
  queue: RunQueue
  docsDir: string
  concurrency: number
  /** Milliseconds after which an attempt is stopped. */
  timeoutMs: number
  /** Bytes of a result that is stored. */
  maxResultBytes: number
  /** Milliseconds that attempts have to finish when the application closes. */
  closeGraceMs: number
}

/** Attempts of a run that may be lost with their process; a run that ends each process that takes it ends here. */
const MAX_LOST_ATTEMPTS = 10
/** Time until a run is tried again whose database did not answer. */
const POSTPONE_MS = 1000
/** Time until a worker is made anew that could not reach the queue. */
const RETRY_MS = 1000
/** Time for runs to get back into the queue when the application closes. */
const RETURN_MS = 1000

/** Starts a worker; it ends with the application, and its runs are then finished in time or back in the queue. */
export function startRunWorker(app: FastifyInstance, options: RunWorkerOptions): void {
  const { store, queue, docsDir, concurrency, timeoutMs, maxResultBytes, closeGraceMs } = options
  // Threads of its own, so that inline runs never wait behind queued ones; none without a run.
  const pool = createToolPool({ docsDir, minThreads: 0, maxThreads: concurrency })
  const closing = new AbortController()
  const logError = logOnce(app)
  let worker: Worker | undefined
  let closed: Promise<void> | undefined
  let running = 0

  work().catch((error) => app.log.error({ err: error }, 'the worker ended'))

  // Begins while the last requests are answered, and ends before the queue is closed.
  app.addHook('preClose', async () => {
    closed = close()
  })
  app.addHook('onClose', async () => {
    await (closed ?? close())
    await pool.close()
  })

  /**
   * Makes a worker and has it run. BullMQ keeps the first failure of a connection to PostgreSQL for good, and a worker with it asks for
   * jobs again and again without a pause, so one that gets no connection is given up for another.
   */
  async function work(): Promise<void> {
    while (!closing.signal.aborted) {
      worker = queue.createWorker(attempt)
      worker.on('error', logError)
      try {
        await worker.waitUntilReady()
      } catch (error) {
        logError(error as Error)
        await worker.close().catch(() => {})
        await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => {})
        continue
      }
      app.queueMetrics.observe(worker)
      return await worker.run()
    }
  }

  /** One attempt of one run. What it throws is for BullMQ: how the run goes on is in the database by then. */
  async function attempt(job: Job, token?: string): Promise<void> {
    const id = job.id!
    const run = await stored(job, token, () => store.claim(id))
    // It has ended already, and the queue was not told because a process or the broker was killed.
    if (run === undefined) return
    const start = performance.now()
    running += 1
    const outcome = await execute(run).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    )
    running -= 1
    const durationMs = Math.round(performance.now() - start)
    if ('result' in outcome) return stored(job, token, () => store.complete(id, outcome.result, durationMs))
    if (closing.signal.aborted) return giveBack(job, token)

    const { status, failure, isPermanent } = describe(outcome.error, run)
    const isLast = isPermanent || run.failures + 1 >= run.maxAttempts
    await stored(job, token, () => store.fail(id, isLast ? status : 'queued', failure, durationMs))
    throw isLast ? new UnrecoverableError(failure.code) : new Error(failure.code)
  }

  /** Runs the tool; resolves to its result as JSON. */
  async function execute({ tool, params, attempts, failures }: ClaimedRun): Promise<string> {
    if (attempts - failures > MAX_LOST_ATTEMPTS) throw new WorkerLostError(attempts - failures - 1)
    const result = await app.toolMetrics.track(tool, (signal) => pool.run(tool, params, { signal }), {
      signal: closing.signal,
      timeoutMs,
    })
    const json = JSON.stringify(result)
    const bytes = Buffer.byteLength(json)
    if (bytes > maxResultBytes) throw new ResultTooLargeError(bytes, maxResultBytes)
    return json
  }

  function describe(error: unknown, { tool }: ClaimedRun): FailedRun {
    if (error instanceof WorkerLostError || error instanceof ResultTooLargeError) {
      const { code, message } = error
      return { status: 'failed', statusCode: 500, failure: { code, message }, isPermanent: true }
    }
    return describeFailure(error, tool, timeoutMs)
  }

  /** What the database answers. Where it does not, the run is tried again later, which is no failure of the run. */
  async function stored<Value>(job: Job, token: string | undefined, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work()
    } catch (error) {
      app.log.warn({ err: error, run_id: job.id }, 'a run waits for the database')
      // A job that cannot be moved either is taken up again when its lock ends.
      await job.moveToDelayed(Date.now() + POSTPONE_MS, token).catch(() => {})
      throw new DelayedError()
    }
  }

  async function giveBack(job: Job, token: string | undefined): Promise<never> {
    await Promise.allSettled([store.release(job.id!), job.moveToWait(token)])
    throw new WaitingError()
  }

  async function close(): Promise<void> {
    const timers: NodeJS.Timeout[] = []
    const after = (milliseconds: number, work: () => void) => timers.push(setTimeout(work, milliseconds))
    const graceMs = running === 0 ? 0 : closeGraceMs
    after(graceMs, () => closing.abort(new DOMException('The process is closing', 'AbortError')))
    // A broker that is down is not waited for: the runs are found by their locks, which end.
    const late = new Promise<void>((resolve) => after(graceMs + RETURN_MS, resolve))
    await Promise.race([worker?.close(), late])
    for (const timer of timers) clearTimeout(timer)
    closing.abort(new DOMException('The process is closing', 'AbortError'))
  }
}

/** The processes that ran a run ended too often. */
class WorkerLostError extends Error {
  readonly code = 'WORKER_LOST'

  constructor(times: number) {
    super(`The process that ran it ended ${times} times before it did; it is not tried again`)
  }
}

/** A result is larger than what is stored. */
class ResultTooLargeError extends Error {
  readonly code = 'RESULT_TOO_LARGE'

  constructor(bytes: number, maxBytes: number) {
    super(`The result has ${bytes} bytes; ${maxBytes} are stored at most (MAX_RESULT_BYTES)`)
  }
}

/** Logs errors of the broker; one that repeats itself while it is down, once. */
function logOnce(app: FastifyInstance): (error: Error) => void {
  let last = ''
  return (error) => {
    if (error.message !== last) app.log.warn({ err: error }, 'the worker cannot reach its queue')
    last = error.message
  }
}
