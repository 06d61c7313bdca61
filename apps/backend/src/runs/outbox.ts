/**
 * What makes a run that was accepted reach the queue, whatever fails in between: its row in the database is the order, and the
 * outbox puts into the queue what is missing there.
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
  /** Milliseconds between two looks; a run is looked for in the queue no more often. */
  intervalMs: number
  /** Days for which runs are kept after their end. */
  historyDays: number
}

/** Looks for runs that are missing in the queue, at the start and on a timer. */
export interface Outbox {
  /**
   * One look: what never was in the queue is put into it, and of what was, the longest unseen runs are looked for. Goes on as long
   * as it finds something missing. Only one process at a time does so; in the others, and where the database or the queue is
   * down, nothing happens. Never rejects.
   */
  sweep(): Promise<void>
  /** Stops the timer; resolves when no look is under way. */
  close(): Promise<void>
}

/** Runs looked at in one go: as many questions to the broker, and one transaction. */
const PAGE = 200

/** Starts the outbox; the caller closes it before the store and the queue. */
export function startOutbox({ store, queue, log, intervalMs, historyDays }: OutboxOptions): Outbox {
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  let sweeping: Promise<void> | undefined
  /** What the last look failed with, so that a database that stays down is logged once. */
  let problem = ''

  schedule(0)
  return { sweep, close }

  function schedule(delayMs: number): void {
    if (isClosed) return
    timer = setTimeout(() => sweep().then(() => schedule(intervalMs)), delayMs).unref()
  }

  function sweep(): Promise<void> {
    sweeping ??= look().finally(() => {
      sweeping = undefined
    })
    return sweeping
  }

  async function look(): Promise<void> {
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

  /** Resolves to whether there may be more to put into the queue. */
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
