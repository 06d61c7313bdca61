/**
 * Decides `db_up`: from what happens on a pool, and with a question when nothing has happened lately.
 *
 * @module
 */
import type { MeasuredPool, UpSignals } from './adapter.ts'

/** The state of a database, as its pool shows it. */
export interface Up extends UpSignals {
  /** Resolves within `upTimeoutMs`. Never rejects. */
  read(pool: MeasuredPool): Promise<boolean>
}

/**
 * Returns the state of a pool's database. Without recent proof a read asks the database on a connection of the pool. A
 * pool without a free connection is not asked, because the question would wait behind its callers; the last known state
 * stands.
 */
export function createUp(upCheckMs: number, upTimeoutMs: number): Up {
  let isUp = false
  let provenMs = -Infinity
  /** The question under way. While it hangs in connecting, no second one is asked. */
  let asking: Promise<void> | undefined

  return { proven, doubted, refused, read }

  function proven(): void {
    isUp = true
    provenMs = performance.now()
  }

  function doubted(): void {
    provenMs = -Infinity
  }

  function refused(): void {
    isUp = false
    provenMs = -Infinity
  }

  async function read(pool: MeasuredPool): Promise<boolean> {
    if (performance.now() - provenMs < upCheckMs) return true
    if (asking === undefined) {
      if (pool.isSaturated()) return isUp
      asking = pool
        .ask(upTimeoutMs)
        .then(proven, refused)
        .finally(() => {
          asking = undefined
        })
    }
    if (!(await endsWithin(upTimeoutMs, asking))) refused()
    return isUp
  }
}

/** Resolves to true when a promise settles in time. The timer never keeps the process alive. */
export function endsWithin(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
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
