/**
 * Decides `db_up`: from what happens on a pool, and with `SELECT 1` when nothing has happened lately.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import type { Method } from '@data20/metrics-core/plugin'
import { isSaturated, type ObservablePool } from './pool.ts'

/** The state of a database, as its pool shows it. */
export interface Up {
  /** A query succeeded or a connection was made. */
  proven(): void
  /** Something failed that may be the database: the next read asks. */
  doubted(client?: unknown): void
  /** A connection could not be made. */
  refused(): void
  /** Resolves within `upTimeoutMs`. Never rejects. */
  read(): Promise<boolean>
}

/** The part of a connection that the question uses. */
interface Client extends EventEmitter {
  query(text: string): Promise<unknown>
  release(error: Error | boolean): void
}

/**
 * Returns the state of a pool's database. Without recent proof a read sends `SELECT 1` on a connection of the pool. It
 * calls the methods of the classes, so that wrappers on the instances, ours included, do not see it. A pool without a
 * free connection is not asked, because the question would wait behind its callers; the last known state stands.
 */
export function createUp(pool: ObservablePool, upCheckMs: number, upTimeoutMs: number): Up {
  let isUp = false
  let provenMs = -Infinity
  /** The question under way. While it hangs in connecting, no second one is asked. */
  let asking: Promise<void> | undefined
  /** The connection that the last question opened and closed; its end says nothing about the database. */
  let ownClient: Client | null = null

  return { proven, doubted, refused, read }

  function proven(): void {
    isUp = true
    provenMs = performance.now()
  }

  function doubted(client?: unknown): void {
    if (client !== ownClient) provenMs = -Infinity
  }

  function refused(): void {
    isUp = false
    provenMs = -Infinity
  }

  async function read(): Promise<boolean> {
    if (performance.now() - provenMs < upCheckMs) return true
    if (asking === undefined) {
      if (isSaturated(pool)) return isUp
      asking = ask().finally(() => {
        asking = undefined
      })
    }
    if (!(await endsWithin(upTimeoutMs, asking))) refused()
    return isUp
  }

  async function ask(): Promise<void> {
    // The pool hands out a free connection before it opens a new one, so this tells which one we get.
    const isNew = pool.idleCount === 0
    let client: Client
    try {
      client = (await (Object.getPrototypeOf(pool).connect as Method).call(pool)) as Client
    } catch {
      return refused()
    }
    ownClient = isNew ? client : null
    // The pool does not listen while a connection is checked out: without a listener, one that breaks now ends the
    // process.
    client.on('error', ignore)
    const query = Object.getPrototypeOf(client).query as Client['query']
    let hasAnswered = false
    const answer = query.call(client, 'SELECT 1').then(() => {
      hasAnswered = true
    })
    await endsWithin(upTimeoutMs, answer)
    if (!hasAnswered) {
      refused()
      return client.release(new Error('no answer to SELECT 1'))
    }
    proven()
    client.off('error', ignore)
    // A connection that only we needed is closed: when an idle connection breaks, the pool emits `error`, which ends a
    // process without a listener, and without us there would be no such connection. A caller who is waiting by now may
    // have it.
    client.release(isNew && pool.waitingCount === 0)
  }
}

/** Resolves to true when a promise settles in time. The timer never keeps the process alive. */
function endsWithin(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      // After the event loop was blocked, timers run first: let an answer that has arrived meanwhile be handled.
      setImmediate(() => setImmediate(resolve, false))
    }, milliseconds)
    timer.unref()
    const settled = () => {
      clearTimeout(timer)
      resolve(true)
    }
    promise.then(settled, settled)
  })
}

function ignore(): void {}
