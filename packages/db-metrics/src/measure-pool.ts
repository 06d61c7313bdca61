/**
 * Measures a pool of pg and each of its connections.
 *
 * @module
 */
import type { EventEmitter } from 'node:events'
import { type Method, patch } from '@data20/metrics-core/plugin'
import { callWatched } from './call-watched.ts'
import type { PoolSeries } from './instruments.ts'
import { type Operation, operationOf } from './operation.ts'
import { isSaturated, type ObservablePool } from './pool.ts'
import { hasCallback, isSubmittable, textOf, watchSubmittable } from './submittable.ts'
import type { Up } from './up.ts'

/**
 * Measures a pool and each of its connections, as instances: the classes of pg stay unchanged. A connection that is in
 * use now is measured from its next checkout. The function returned restores everything.
 *
 * Every query of a pool passes through `query` of a connection and is counted there. `query` of the pool adds those
 * that never got a connection. There is no listener for `error`: with one, a process would survive what pg means it to
 * end on.
 */
export function measurePool(pool: ObservablePool, series: PoolSeries, up: Up): () => void {
  const emitter = pool as unknown as EventEmitter
  const connections = measureConnections(series, up)
  const restore = measureWaiting(pool, series, up)
  // A query that this hook sends to a new connection precedes the event `connect`.
  if (typeof pool.options.onConnect === 'function') restore.push(patch(pool.options, 'onConnect', measureOnConnect))
  // Before all other listeners, which may send queries.
  emitter.prependListener('connect', connected)
  emitter.prependListener('acquire', connections.measure)
  emitter.on('remove', up.doubted)

  return () => {
    emitter.off('connect', connected)
    emitter.off('acquire', connections.measure)
    emitter.off('remove', up.doubted)
    for (const putBack of restore) putBack()
    connections.release()
  }

  function measureOnConnect(original: Method): Method {
    return function onConnect(client, ...args) {
      connections.measure(client as EventEmitter)
      return original.call(this, client, ...args)
    }
  }

  function connected(client: EventEmitter): void {
    up.proven()
    connections.measure(client)
  }
}

/** Measures the wait for a connection, and counts the queries of the pool that never got one. */
function measureWaiting(pool: ObservablePool, series: PoolSeries, up: Up): Array<() => void> {
  /** The query that `pool.query` is asking a connection for. pg calls `connect` before `query` returns. */
  let queryOfPool: unknown
  return [patch(pool, 'query', measureQuery), patch(pool, 'connect', measureConnect)]

  function measureQuery(original: Method): Method {
    return function query(...args) {
      queryOfPool = args[0]
      try {
        return original.apply(this, args)
      } finally {
        queryOfPool = undefined
      }
    }
  }

  function measureConnect(original: Method): Method {
    return function connect(...args) {
      const startMs = performance.now()
      const hasRoom = !isSaturated(pool)
      const query = queryOfPool
      queryOfPool = undefined
      return callWatched(original, this, args, 0, (error) => {
        const seconds = (performance.now() - startMs) / 1000
        if (!error) return series.wait.observe(seconds)
        // For a caller who had to wait, the error may be about the wait and not about the database.
        if (hasRoom) up.refused()
        if (query !== undefined) series.count(operationOf(textOf(query)), seconds, error)
      })
    }
  }
}

/** Measures the queries of connections. `release` restores all of them. */
function measureConnections(series: PoolSeries, up: Up): { measure(client: EventEmitter): void; release(): void } {
  const restoreClient = new Map<EventEmitter, () => void>()
  return { measure, release }

  function measure(client: EventEmitter): void {
    if (restoreClient.has(client)) return
    const putBack = patch(client, 'query', measureQuery)
    const forget = () => restoreClient.delete(client)
    client.once('end', forget)
    restoreClient.set(client, () => {
      client.off('end', forget)
      putBack()
    })
  }

  function release(): void {
    for (const putBack of restoreClient.values()) putBack()
    restoreClient.clear()
  }

  function measureQuery(original: Method): Method {
    return function query(...args) {
      const [query] = args
      const ended = start(operationOf(textOf(query)))
      if (isSubmittable(query)) {
        watchSubmittable(query, ended)
        return original.apply(this, args)
      }
      // `query(text, callback)`, `query(text, values, callback)`, `query({ text, callback })`, or a promise.
      const callbackIndex = typeof args[1] === 'function' ? 1 : 2
      if (typeof args[callbackIndex] !== 'function' && hasCallback(query)) {
        // Older versions of pg write the callback to the object that they get, and this one belongs to the caller.
        args[0] = Object.create(query, { callback: { value: query.callback, writable: true } })
        args[2] = query.callback
      }
      return callWatched(original, this, args, callbackIndex, ended)
    }
  }

  /** Starts the clock of a query. The first call of the function returned counts it; pg calls some callbacks twice. */
  function start(operation: Operation): (error: unknown) => void {
    const startMs = performance.now()
    let hasEnded = false
    return (error) => {
      if (hasEnded) return
      hasEnded = true
      series.count(operation, (performance.now() - startMs) / 1000, error)
      if (error) up.doubted()
      else up.proven()
    }
  }
}
