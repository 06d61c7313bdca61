/**
 * The worker: takes runs from the queue, one attempt after another, and stores how they end.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { DelayedError, type Job, UnrecoverableError, WaitingError, type Worker } from 'bullmq'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { ToolPool } from '../knowledge/pool.ts'
import { failureOf, resultTooLarge, workerLost } from './failure.ts'
import type { RunQueue } from './queue.ts'
import type { ClaimedRun } from './run.ts'
import type { RunStore } from './store.ts'

/** Options of the worker. */
export interface RunWorkerOptions {
  store: RunStore
  queue: RunQueue
  /** The threads that execute the tools; the caller closes it after the worker. */
  pool: ToolPool
  toolMetrics: FastifyInstance['toolMetrics']
  queueMetrics: FastifyInstance['queueMetrics']
  log: FastifyBaseLogger
  /** Milliseconds after which an attempt is stopped. */
  timeoutMs: number
  /** Maximum size of a stored result. */
  maxResultBytes: number
  /** Milliseconds that attempts have to finish when the worker closes. */
  closeGraceMs: number
}

/** A worker that takes runs until it is closed. */
export interface RunWorker {
  /**
   * Takes no further run. Attempts that do not finish in time go back to the queue. Resolves when none is in progress,
   * or after `closeGraceMs` and one second: a lock that nobody renews expires, and another process takes its run.
   * Idempotent.
   */
  close(): Promise<void>
}

/** Attempts of a run that may be lost with their process. A run that ends each process that takes it ends here. */
const MAX_LOST_ATTEMPTS = 10
/** Delay of a run whose database did not answer. */
const POSTPONE_MS = 1000
/** Delay before a worker that could not reach the queue is replaced. */
const RETRY_MS = 1000
/** Time for runs to get back into the queue when the worker closes. */
const RETURN_MS = 1000

/** Starts a worker. The caller closes it before the queue and the store. */
export function startRunWorker(options: RunWorkerOptions): RunWorker {
  const { store, queue, pool, toolMetrics, queueMetrics, log, timeoutMs, maxResultBytes, closeGraceMs } = options
  const closing = new AbortController()
  const logError = logOnce(log)
  let worker: Worker | undefined
  let closed: Promise<void> | undefined
  let running = 0

  work().catch((error) => log.error({ err: error }, 'the worker ended'))
  return {
    close() {
      closed ??= close()
      return closed
    },
  }

  /**
   * Makes a worker and runs it. BullMQ memoizes the first failure of a connection to PostgreSQL, and a worker with such
   * a connection asks for jobs in a busy loop, so a worker that gets no connection is replaced.
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
      queueMetrics.observe(worker)
      return await worker.run()
    }
  }

  /** Makes one attempt of one run. What it throws is for BullMQ; the database says by then how the run goes on. */
  async function attempt(job: Job, token?: string): Promise<void> {
    const id = job.id!
    const run = await stored(job, token, () => store.claim(id))
    // The run has ended. Its job came back because a process or the broker was killed before the queue was told.
    if (run === undefined) return
    const start = performance.now()
    running += 1
    const outcome = await execute(id, run).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    )
    running -= 1
    const durationMs = Math.round(performance.now() - start)
    if ('result' in outcome) return stored(job, token, () => store.complete(id, outcome.result, durationMs))
    if (closing.signal.aborted) return giveBack(job, token)

    const failure = failureOf(outcome.error, { id, tool: run.tool }, { timeoutMs })
    const isLast = failure.isPermanent || run.failures + 1 >= run.maxAttempts
    const status = isLast ? (failure.status as 'failed' | 'timeout') : 'queued'
    await stored(job, token, () => store.fail(id, status, failure, durationMs))
    throw isLast ? new UnrecoverableError(failure.code) : new Error(failure.code)
  }

  /** Runs the tool. Resolves to its result as JSON. */
  async function execute(id: string, { tool, params, attempts, failures }: ClaimedRun): Promise<string> {
    const lost = attempts - failures - 1
    if (lost >= MAX_LOST_ATTEMPTS) throw workerLost({ id, tool }, lost)
    const result = await toolMetrics.track(tool, (signal) => pool.run(tool, params, { signal }), {
      signal: closing.signal,
      timeoutMs,
    })
    const json = JSON.stringify(result)
    const bytes = Buffer.byteLength(json)
    if (bytes > maxResultBytes) throw resultTooLarge({ id, tool }, bytes, maxResultBytes)
    return json
  }

  /**
   * Resolves to what the database answers. When it does not answer, the run is delayed, which is no failure of the run.
   */
  async function stored<Value>(job: Job, token: string | undefined, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work()
    } catch (error) {
      log.warn({ err: error, run_id: job.id }, 'a run waits for the database')
      // A job that cannot be moved either is taken again when its lock expires.
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
    // A broker that is down is not waited for: the locks of its jobs expire.
    const late = new Promise<void>((resolve) => after(graceMs + RETURN_MS, resolve))
    await Promise.race([worker?.close(), late])
    for (const timer of timers) clearTimeout(timer)
    closing.abort(new DOMException('The process is closing', 'AbortError'))
  }
}

/** Returns a listener that logs errors of the broker. An error that repeats while the broker is down is logged once. */
function logOnce(log: FastifyBaseLogger): (error: Error) => void {
  let last = ''
  return (error) => {
    if (error.message !== last) log.warn({ err: error }, 'the worker cannot reach its queue')
    last = error.message
  }
}
