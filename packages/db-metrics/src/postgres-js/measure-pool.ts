/**
 * Measures what postgres.js sends for one `sql`, and the wait for its connections.
 *
 * @module
 */
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { MeasuredPool, PoolSeries, UpSignals } from '../adapter.ts'
import { observeWait } from '../wait.ts'
import { type Connection, createConnections } from './connections.ts'
import { type Backend, type PostgresJsPool, type Query, sampleQuery, textOf } from './pool.ts'
import { createQuestion, isQuestion } from './question.ts'
import { type QueryWatcher, watchQueries } from './watch-queries.ts'

/** postgres.js does not tell that it was ended. */
const ended = new WeakSet<PostgresJsPool>()

/** Returns true for a `sql` that was ended while it was observed. */
export function hasEnded(sql: PostgresJsPool): boolean {
  return ended.has(sql)
}

/**
 * Measures the queries of `sql`: those that it sends itself wait for a connection; those of a transaction or of a
 * reserved connection have one. Which connection a query is sent on is seen when it is sent.
 */
export function measurePool(sql: PostgresJsPool, series: PoolSeries, up: UpSignals): MeasuredPool {
  const sample = sampleQuery(sql)
  /** What sends queries of `sql` itself. */
  const handlers = new WeakSet<object>([sample.handler])
  /** What sends queries of a reserved connection. */
  const reservations = new WeakMap<object, Reservation>()
  const connections = createConnections(series)
  let waiting = 0
  /** Reserved connections that have not sent a query yet. */
  let unknownReserved = 0
  const putBack = [
    watchQueries(Object.getPrototypeOf(sample), watch),
    patch(sql, 'file', measureFile),
    patch(sql, 'reserve', measureReserve),
    patch(sql, 'end', measureEnd),
    patch(sql.options, 'onclose', measureClose),
  ]
  return {
    readConnections,
    isSaturated: () => countBusy() >= sql.options.max,
    ask: createQuestion(sql),
    stop: restore,
    restore,
  }

  function restore(): void {
    for (const restoreOne of putBack) restoreOne()
  }

  function countBusy(): number {
    return connections.countBusy() + unknownReserved
  }

  /** Where there is room for another connection, a caller does not wait: one is being made. */
  function readConnections(): void {
    const busy = countBusy()
    const connecting = Math.min(waiting, Math.max(sql.options.max - busy, 0))
    series.active.set(busy + connecting)
    series.waiting.set(waiting - connecting)
    series.max.set(sql.options.max)
    series.idleInTransaction.set(connections.countIdleInTransaction())
  }

  function watch(query: Query): QueryWatcher | undefined {
    if (query.canceller === undefined || isQuestion(query)) return undefined
    return watchQuery(query)
  }

  /** A query that no `sql` of ours sends is ours if its connection is. */
  function watchQuery(query: Query): QueryWatcher {
    const waits = handlers.has(query.handler)
    const reservation = reservations.get(query.handler)
    /** `sql.begin` keeps the connection for its transaction. */
    const isBegin = query.options.onexecute !== undefined
    const askedMs = performance.now()
    let sentMs: number | undefined
    let connection: Connection | undefined
    let isOver = false
    if (waits) waiting += 1
    return { sent, ended: over }

    function sent(backend: Backend): void {
      if (connection !== undefined || isOver) return
      if (!waits && reservation === undefined && !connections.has(backend)) return
      connection = connections.of(backend)
      connection.running += 1
      sentMs = performance.now()
      reservation?.sent(connection)
      if (!waits) return
      waiting -= 1
      series.wait.acquired.observe((sentMs - askedMs) / 1000)
      if (isBegin) learnId(query, connection)
    }

    function over(error: unknown, result: unknown): void {
      // postgres.js may reject a query that it has resolved.
      if (isOver) return
      isOver = true
      const kind = series.query(textOf(query))
      if (connection !== undefined && sentMs !== undefined) {
        const seconds = (performance.now() - sentMs) / 1000
        connection.running -= 1
        if (waits && isBegin) connection.checkoutMs = sentMs
        else if (waits) series.checkout.observe(seconds)
        if (!error) connections.answered(connection, kind.operation, result)
        kind.count(seconds, error)
        if (error) up.doubted()
        else up.proven()
      } else if (waits) {
        waiting -= 1
        refused(error, askedMs)
        kind.count(undefined, error)
      } else if (reservation !== undefined) kind.count(undefined, error)
    }
  }

  function refused(error: unknown, askedMs: number): void {
    observeWait(series, askedMs, error, (error as { code?: unknown }).code === 'CONNECT_TIMEOUT')
    if (!hasEnded(sql) && !isCancellation(error)) up.refused()
  }

  /** `sql.begin` is told which connection it has got. */
  function learnId(query: Query, connection: Connection): void {
    patch(query.options, 'onexecute', (original) => {
      return function onexecute(...args) {
        connection.id = (args[0] as { id?: unknown }).id
        return original.apply(this, args)
      }
    })
  }

  /** The query reads its file first, and has a handler of its own for it. */
  function measureFile(original: Method): Method {
    return function file(...args) {
      const query = original.apply(this, args) as Query
      handlers.add(query.handler)
      return query
    }
  }

  function measureReserve(original: Method): Method {
    return async function reserve(...args) {
      const askedMs = performance.now()
      waiting += 1
      try {
        const reserved = (await original.apply(this, args)) as object
        observeWait(series, askedMs, undefined, false)
        up.proven()
        hold(reserved)
        return reserved
      } catch (error) {
        refused(error, askedMs)
        throw error
      } finally {
        waiting -= 1
      }
    }
  }

  function hold(reserved: object): void {
    const startMs = performance.now()
    let connection: Connection | undefined
    unknownReserved += 1
    reservations.set(sampleQuery(reserved).handler, {
      sent(used) {
        if (connection !== undefined) return
        connection = used
        connection.isReserved = true
        unknownReserved -= 1
      },
    })
    const putBackRelease = patch(reserved, 'release', (original) => {
      return function release(...args) {
        putBackRelease()
        series.checkout.observe((performance.now() - startMs) / 1000)
        if (connection === undefined) unknownReserved -= 1
        else connection.isReserved = false
        return original.apply(this, args)
      }
    })
  }

  function measureEnd(original: Method): Method {
    return function end(...args) {
      ended.add(sql)
      return original.apply(this, args)
    }
  }

  function measureClose(original: Method | undefined): Method {
    return function onclose(...args) {
      connections.closed(args[0])
      up.doubted()
      return original?.apply(this, args)
    }
  }
}

/** A connection that a caller of `sql.reserve` has. */
interface Reservation {
  /** It has sent a query, which shows the connection. */
  sent(connection: Connection): void
}

/** A query that its caller has cancelled before it was sent. */
function isCancellation(error: unknown): boolean {
  return (error as { code?: unknown }).code === '57014'
}
