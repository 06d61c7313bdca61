/**
 * The outbox: takes accepted runs to the queue, whatever fails in between. The row in the database is the source of
 * truth; the outbox adds to the queue what is missing there.
 *
 * @module
 */
import type { FastifyBaseLogger } from 'fastify'
import type { RunQueue } from './queue.ts'
import type { RunStore } from './store.ts'

/** Options of the outbox. */
export interface OutboxOptions {
  store: RunStore
  queue: RunQueue
  log: FastifyBaseLogger
  /** Milliseconds between two sweeps, and at least as long between two looks for the same run. */
  intervalMs: number
  /** Days that a run is kept after its end. */
  historyDays: number
}

/** Sweeps at the start, and then on a timer. */
export interface Outbox {
  /**
   * Adds the runs that never were in the queue, and looks there for the runs that were not seen for the longest time.
   * Repeats while it finds missing runs. One process sweeps at a time; in the others, and while the database or the
   * queue is down, nothing happens. Never rejects.
   */
  sweep(): Promise<void>
  /** Stops the timer. Resolves when no sweep is in progress. */
  close(): Promise<void>
}

/** Runs in one step of a sweep: one transaction, and as many queries to the broker. */
const PAGE = 200

/** Starts the outbox. The caller closes it before the store and the queue. */
export function startOutbox({ store, queue, log, intervalMs, historyDays }: OutboxOptions): Outbox {
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  let sweeping: Promise<void> | undefined
  /** The error of the last sweep, so that a database that stays down is logged once. */
  let problem = ''

  schedule(0)
  return { sweep, close }

  function schedule(delayMs: number): void {
    if (isClosed) return
    timer = setTimeout(() => sweep().then(() => schedule(intervalMs)), delayMs).unref()
  }

  function sweep(): Promise<void> {
    sweeping ??= sweepAll().finally(() => {
      sweeping = undefined
    })
    return sweeping
  }

  async function sweepAll(): Promise<void> {
    try {
      while (!isClosed && (await sweepPage()));
      if (problem !== '') log.info('the queue gets its runs again')
      problem = ''
    } catch (error) {
      const { message } = error as Error
      if (message !== problem) log.warn({ err: error }, 'runs wait in the database until the queue can be reached')
      problem = message
    }
  }

  /** Resolves to `true` when more runs may be missing. */
  async function sweepPage(): Promise<boolean> {
    let mayBeMore = false
    await store.exclusively(async (client) => {
      const runs = await store.findOpen(intervalMs, PAGE, client)
      const seen = runs.filter(({ isEnqueued }) => isEnqueued).map(({ id }) => id)
      const lost = await queue.findMissing(seen)
      const missing = runs.filter(({ id, isEnqueued }) => !isEnqueued || lost.has(id))
      if (missing.length > 0) await queue.add(missing)
      if (lost.size > 0) log.warn(`${lost.size} runs were missing in the queue and are in it again`)
      await store.markEnqueued(
        runs.map(({ id }) => id),
        client,
      )
      mayBeMore = runs.length === PAGE && missing.length > 0
      if (runs.length < PAGE) await store.prune(historyDays, PAGE, client)
    })
    return mayBeMore
  }

  async function close(): Promise<void> {
    isClosed = true
    clearTimeout(timer)
    await sweeping
  }
}
