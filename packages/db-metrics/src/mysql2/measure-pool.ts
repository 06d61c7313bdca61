/**
 * Measures a pool of mysql2, and the wait for its connections.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { MeasuredPool, PoolSeries, UpSignals } from '../adapter.ts'
import { createQueryOfPool, observeWait } from '../wait.ts'
import { type MeasuredConnection, measureConnection } from './measure-connection.ts'
import { type CorePool, corePool, isSaturated, type Mysql2Pool } from './pool.ts'
import { ask } from './question.ts'

/**
 * Measures a pool and each of its connections, as instances: the classes of mysql2 stay unchanged. A connection that is
 * in use now is measured from its next checkout.
 */
export function measurePool(observed: Mysql2Pool, series: PoolSeries, up: UpSignals): MeasuredPool {
  const pool = corePool(observed)
  const connections = new Map<EventEmitter, MeasuredConnection>()
  const restorePool = measureWaiting(pool, { series, up, measure })
  // Before all other listeners, which may send queries.
  pool.prependListener('connection', connected)
  return {
    readConnections,
    isSaturated: () => isSaturated(pool),
    ask: (timeoutMs) => ask(pool, timeoutMs),
    stop,
    restore,
  }

  function measure(connection: EventEmitter): MeasuredConnection {
    const known = connections.get(connection)
    if (known !== undefined) return known
    const measured = measureConnection(connection, series, up, () => connections.delete(connection))
    connections.set(connection, measured)
    return measured
  }

  function connected(connection: EventEmitter): void {
    up.proven()
    measure(connection)
  }

  function readConnections(): void {
    const { config, _allConnections: all, _freeConnections: free, _connectionQueue: queue } = pool
    series.active.set(all.length - free.length)
    series.idle.set(free.length)
    series.waiting.set(queue.length)
    series.max.set(config.connectionLimit === 0 ? Infinity : config.connectionLimit)
    let idleInTransaction = 0
    for (const connection of connections.values()) if (connection.isIdleInTransaction()) idleInTransaction += 1
    series.idleInTransaction.set(idleInTransaction)
  }

  function stop(): void {
    pool.off('connection', connected)
    for (const putBack of restorePool) putBack()
  }

  function restore(): void {
    stop()
    for (const connection of connections.values()) connection.restore()
    connections.clear()
  }
}

interface Waiting {
  series: PoolSeries
  up: UpSignals
  measure(connection: EventEmitter): MeasuredConnection
}

/** Measures the wait for a connection, and counts the queries of the pool that never got one. */
function measureWaiting(pool: CorePool, { series, up, measure }: Waiting): Array<() => void> {
  const queryOfPool = createQueryOfPool()
  /** mysql2 asks once more for a caller whose connection has broken meanwhile. */
  const waiting = new WeakSet<object>()
  return [
    patch(pool, 'query', queryOfPool.watch),
    patch(pool, 'execute', queryOfPool.watch),
    patch(pool, 'getConnection', measureConnection),
  ]

  function measureConnection(original: Method): Method {
    return function getConnection(...args) {
      const callback = args[0] as Method & object
      if (typeof callback !== 'function' || waiting.has(callback)) return original.apply(this, args)
      const startMs = performance.now()
      const hasRoom = !isSaturated(pool)
      const query = queryOfPool.take()
      const wait = function (this: unknown, ...outcome: unknown[]): unknown {
        ended(startMs, outcome[0], outcome[1], hasRoom, query)
        return callback.apply(this, outcome)
      }
      waiting.add(wait)
      return original.call(this, wait)
    }
  }

  function ended(startMs: number, error: unknown, connection: unknown, hasRoom: boolean, query: unknown): void {
    observeWait(series, startMs, error, (error as { code?: unknown } | null)?.code === 'ETIMEDOUT')
    if (!error) {
      measure(connection as EventEmitter).checkedOut()
      return
    }
    // For a caller who had to wait, the error may be about the wait and not about the database.
    if (hasRoom && !pool._closed) up.refused()
    if (query !== undefined) series.query(textOf(query)).count(undefined, error)
  }
}

/** Returns the SQL of what `query` and `execute` accept. */
function textOf(query: unknown): unknown {
  return typeof query === 'object' ? (query as { sql?: unknown } | null)?.sql : query
}
