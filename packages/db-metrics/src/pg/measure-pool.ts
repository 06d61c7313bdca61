/**
 * Measures a pool of pg and each of its connections.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { MeasuredPool, PoolSeries, UpSignals } from '../adapter.ts'
import { callWatched } from '../call-watched.ts'
import { createQueryOfPool, observeWait } from '../wait.ts'
import { type MeasuredClient, measureClient } from './measure-client.ts'
import { isSaturated, type PgPool, readConnections } from './pool.ts'
import { createQuestion } from './question.ts'
import { nameOf, textOf } from './submittable.ts'

/**
 * Measures a pool and each of its connections, as instances: the classes of pg stay unchanged. A connection that is in
 * use now is measured from its next checkout.
 *
 * Every query of a pool passes through `query` of a connection and is counted there. `query` of the pool adds those
 * that never got a connection. There is no listener for `error`: with one, a process would survive what pg means it to
 * end on.
 */
export function measurePool(pool: PgPool, series: PoolSeries, up: UpSignals): MeasuredPool {
  const emitter = pool as unknown as EventEmitter
  const clients = new Map<EventEmitter, MeasuredClient>()
  const question = createQuestion(pool)
  const restorePool = measureWaiting(pool, { series, up, acquired })
  // A query that this hook sends to a new connection precedes the event `connect`.
  if (typeof pool.options.onConnect === 'function') restorePool.push(patch(pool.options, 'onConnect', measureOnConnect))
  // Before all other listeners, which may send queries.
  emitter.prependListener('connect', connected)
  emitter.prependListener('acquire', measure)
  emitter.on('release', released)
  emitter.on('remove', removed)
  return {
    readConnections() {
      readConnections(pool, series)
      series.idleInTransaction.set(countIdleInTransaction())
    },
    isSaturated: () => isSaturated(pool),
    ask: question.ask,
    stop,
    restore,
  }

  function measure(client: EventEmitter): MeasuredClient {
    const known = clients.get(client)
    if (known !== undefined) return known
    const measured = measureClient(client, series, up, () => clients.delete(client))
    clients.set(client, measured)
    return measured
  }

  function measureOnConnect(original: Method): Method {
    return function onConnect(client, ...args) {
      measure(client as EventEmitter)
      return original.call(this, client, ...args)
    }
  }

  function connected(client: EventEmitter): void {
    up.proven()
    measure(client)
  }

  function acquired(client: unknown): void {
    clients.get(client as EventEmitter)?.checkedOut()
  }

  function released(_error: unknown, client: EventEmitter): void {
    clients.get(client)?.released()
  }

  function removed(client: unknown): void {
    if (!question.isOwn(client)) up.doubted()
  }

  function countIdleInTransaction(): number {
    let count = 0
    for (const client of clients.values()) if (client.isIdleInTransaction()) count += 1
    return count
  }

  function stop(): void {
    emitter.off('connect', connected)
    emitter.off('acquire', measure)
    emitter.off('remove', removed)
    for (const putBack of restorePool) putBack()
  }

  function restore(): void {
    stop()
    emitter.off('release', released)
    for (const client of clients.values()) client.restore()
    clients.clear()
  }
}

interface Waiting {
  series: PoolSeries
  up: UpSignals
  /** A caller has the connection from now on. */
  acquired(client: unknown): void
}

/** Measures the wait for a connection, and counts the queries of the pool that never got one. */
function measureWaiting(pool: PgPool, { series, up, acquired }: Waiting): Array<() => void> {
  const queryOfPool = createQueryOfPool()
  return [patch(pool, 'query', queryOfPool.watch), patch(pool, 'connect', measureConnect)]

  function measureConnect(original: Method): Method {
    return function connect(...args) {
      const startMs = performance.now()
      const hasRoom = !isSaturated(pool)
      const query = queryOfPool.take()
      return callWatched(original, this, args, 0, (error, client) => {
        observeWait(series, startMs, error, isTimeoutError(error))
        if (!error) return acquired(client)
        // For a caller who had to wait, the error may be about the wait and not about the database.
        if (hasRoom) up.refused()
        if (query !== undefined) series.query(textOf(query), nameOf(query)).count(undefined, error)
      })
    }
  }
}

/** pg gives no code to the errors of `connectionTimeoutMillis`, of which it has one per kind of wait. */
function isTimeoutError(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  return code === 'ETIMEDOUT' || (code === undefined && typeof message === 'string' && /\btimeout\b/i.test(message))
}
