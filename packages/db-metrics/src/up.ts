import type { EventEmitter } from 'node:events'
import type { Method } from '@data20/metrics-core/plugin'
import { isSaturated, type ObservablePool } from './pool.ts'

/** Whether a database answers, from what its pool lives through, and by asking where that says nothing. */
export interface Up {
  /** A query succeeded or a connection was made. */
  proven(): void
  /** Something broke that may or may not be the database: the next read asks. */
  doubted(client?: unknown): void
  /** A connection could not be made. */
  refused(): void
  /** Takes no longer than `upTimeoutMs` and never rejects. */
  read(): Promise<boolean>
}

/** What is used of a connection while it is asked. */
interface Client extends EventEmitter {
  query(text: string): Promise<unknown>
  release(error: Error | boolean): void
}

/**
 * Decides `db_up`. With no recent proof a read asks with `SELECT 1` on a connection of the pool, through the methods of the
 * classes: what was put on the instances, ours included, does not see it. A pool without a free connection is not asked, since
 * that would wait behind its callers; the last success or refusal stands.
 */
export function createUp(pool: ObservablePool, upCheckMs: number, upTimeoutMs: number): Up {
  let isUp = false
  let provenMs = -Infinity
  /** The question that is under way; one that hangs in making a connection is not asked a second time. */
  let asking: Promise<void> | undefined
  /** The connection that the last question made and ended; its end is no news. */
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
    // A free connection is handed out before a new one is made, so this tells which one we get.
    const isNew = pool.idleCount === 0
    let client: Client
    try {
      client = (await (Object.getPrototypeOf(pool).connect as Method).call(pool)) as Client
    } catch {
      return refused()
    }
    ownClient = isNew ? client : null
    // The pool does not listen while a connection is handed out: one that breaks now would end the process.
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
    // A connection that only we needed is ended. When an idle connection breaks, the pool emits 'error', which ends a process
    // that does not listen, and there would be none without us. A caller who waits by now may have it.
    client.release(isNew && pool.waitingCount === 0)
  }
}

/** Whether a promise settles in time. The timer never keeps the process alive. */
function endsWithin(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      // After the event loop was blocked, timers run first: an answer that has arrived meanwhile gets its turn.
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
