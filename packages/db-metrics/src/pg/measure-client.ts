/**
 * Measures the queries and transactions of a connection of pg.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { PoolSeries, QuerySeries, UpSignals } from '../adapter.ts'
import { callWatched } from '../call-watched.ts'
import { hasCallback, isSubmittable, nameOf, textOf, watchSubmit, watchSubmittable } from './submittable.ts'
import { followTransactions } from './transactions.ts'

/** A connection that is measured. */
export interface MeasuredClient {
  /** Returns true amid a transaction while no query runs. */
  isIdleInTransaction(): boolean
  /** A caller of the pool has the connection from now on. */
  checkedOut(): void
  released(): void
  restore(): void
}

/** What every version of pg keeps of the queries that it has not sent yet, native or not. */
interface Client extends EventEmitter {
  _queryQueue?: object[]
}

/** Measures a connection until it ends, which calls `ended`. */
export function measureClient(
  client: EventEmitter,
  series: PoolSeries,
  up: UpSignals,
  ended: () => void,
): MeasuredClient {
  const transactions = followTransactions(client, series.transactions)
  let checkoutMs: number | undefined
  let running = 0
  const putBack = patch(client, 'query', measureQuery)
  client.once('end', end)
  return {
    isIdleInTransaction: () => transactions.isOpen && running === 0,
    checkedOut() {
      checkoutMs = performance.now()
    },
    released() {
      if (checkoutMs !== undefined) series.checkout.observe((performance.now() - checkoutMs) / 1000)
      checkoutMs = undefined
    },
    restore() {
      client.off('end', end)
      transactions.stop()
      putBack()
    },
  }

  function end(): void {
    transactions.lost()
    ended()
  }

  function measureQuery(original: Method): Method {
    return function query(...args) {
      const { _queryQueue: queue } = client as Client
      const length = queue?.length ?? 0
      const clock = start(series.query(textOf(args[0]), nameOf(args[0])))
      try {
        return send(original, this, args, clock.end)
      } catch (error) {
        // pg throws for what is no query.
        running -= 1
        throw error
      } finally {
        // pg sends the queries of a connection one after another.
        if (queue !== undefined && queue.length > length) clock.wait(queue.at(-1)!)
      }
    }
  }

  function send(original: Method, self: unknown, args: unknown[], ended: (error: unknown) => void): unknown {
    const [query] = args
    if (isSubmittable(query)) {
      watchSubmittable(query, ended)
      return original.apply(self, args)
    }
    // `query(text, callback)`, `query(text, values, callback)`, `query({ text, callback })`, or a promise.
    const callbackIndex = typeof args[1] === 'function' ? 1 : 2
    if (typeof args[callbackIndex] !== 'function' && hasCallback(query)) {
      // Older versions of pg write the callback to the object that they get, and this one belongs to the caller.
      args[0] = Object.create(query, { callback: { value: query.callback, writable: true } })
      args[2] = query.callback
    }
    return callWatched(original, self, args, callbackIndex, ended)
  }

  /** Starts the clock of a query. `wait` stops it until pg sends the query; `end` counts it. */
  function start(query: QuerySeries): { wait(query: object): void; end(error: unknown): void } {
    let startMs: number | undefined = performance.now()
    let hasEnded = false
    running += 1
    return { wait, end }

    function wait(queued: object): void {
      startMs = undefined
      watchSubmit(queued, () => {
        startMs = performance.now()
      })
    }

    function end(error: unknown): void {
      // pg calls some callbacks twice.
      if (hasEnded) return
      hasEnded = true
      running -= 1
      query.count(startMs === undefined ? undefined : (performance.now() - startMs) / 1000, error)
      if (error) up.doubted()
      else up.proven()
    }
  }
}
