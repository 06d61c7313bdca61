import type { EventEmitter } from 'node:events'
import { type Method, patch } from '@data20/metrics-core/plugin'
import { callWatched } from './call-watched.ts'
import { type Operation, operationOf } from './operation.ts'
import type { PoolSeries } from './series.ts'
import type { Up } from './up.ts'

/** What is used of a `pg.Pool`, which every version of pg 8 has, native or not. */
export interface ObservablePool {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly options: { readonly max?: number | undefined; readonly onConnect?: unknown }
  connect(...args: never[]): unknown
  query(...args: never[]): unknown
  on(...args: never[]): unknown
  off(...args: never[]): unknown
}

/** Whether a caller would have to wait for a connection. */
export function isSaturated({ totalCount, idleCount, waitingCount, options: { max = 10 } }: ObservablePool): boolean {
  return waitingCount > 0 || (idleCount === 0 && totalCount >= max)
}

/** Reads the gauges that a pool knows itself. */
export function readConnections(pool: ObservablePool, series: PoolSeries): void {
  series.active.set(pool.totalCount - pool.idleCount)
  series.idle.set(pool.idleCount)
  series.waiting.set(pool.waitingCount)
  series.max.set(pool.options.max ?? 10)
}

/**
 * Measures a pool and each of its connections, all of them instances: the classes of pg stay as they are. A connection that is
 * in use at this moment is measured from the next time that it is handed out. The function returned puts everything back.
 *
 * All queries of a pool pass `query` of a connection, so that is where they are counted; `query` of the pool adds those that
 * never got a connection. There is no listener for 'error': with one, a process would survive what pg means it to end on.
 */
export function measurePool(pool: ObservablePool, series: PoolSeries, up: Up): () => void {
  const emitter = pool as unknown as EventEmitter
  const restoreClient = new Map<EventEmitter, () => void>()
  /** The query for which `pool.query` is asking for a connection, which it does before it returns. */
  let queryOfPool: unknown

  const restore = [patch(pool, 'query', measureQueryOfPool), patch(pool, 'connect', measureConnect)]
  // What this hook sends to a new connection comes before the event.
  if (typeof pool.options.onConnect === 'function') restore.push(patch(pool.options, 'onConnect', measureOnConnect))
  // First of all listeners, since the others may send queries.
  emitter.prependListener('connect', connected)
  emitter.prependListener('acquire', measureClient)
  emitter.on('remove', up.doubted)

  return () => {
    emitter.off('connect', connected)
    emitter.off('acquire', measureClient)
    emitter.off('remove', up.doubted)
    for (const putBack of [...restore, ...restoreClient.values()]) putBack()
    restoreClient.clear()
  }

  function measureQueryOfPool(original: Method): Method {
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
        // The error of a caller who waited may be about the waiting.
        if (hasRoom) up.refused()
        if (query !== undefined) series.count(operationOf(textOf(query)), seconds, error)
      })
    }
  }

  function measureOnConnect(original: Method): Method {
    return function onConnect(client, ...args) {
      measureClient(client as EventEmitter)
      return original.call(this, client, ...args)
    }
  }

  function connected(client: EventEmitter): void {
    up.proven()
    measureClient(client)
  }

  function measureClient(client: EventEmitter): void {
    if (restoreClient.has(client)) return
    const putBack = patch(client, 'query', measureQuery)
    const forget = () => restoreClient.delete(client)
    client.once('end', forget)
    restoreClient.set(client, () => {
      client.off('end', forget)
      putBack()
    })
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
        // Older versions of pg write the callback to the object that they are given, and this one is the caller's.
        args[0] = Object.create(query, { callback: { value: query.callback, writable: true } })
        args[2] = query.callback
      }
      return callWatched(original, this, args, callbackIndex, ended)
    }
  }

  /** A query begins; the function returned counts it when it is called first. pg calls some callbacks twice. */
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

/** Calls `ended` when pg tells a query object, a cursor or a stream that it is done; after that the object is as it was. */
function watchSubmittable(submittable: object, ended: (error: unknown) => void): void {
  const restore = [
    patch(submittable, 'handleReadyForQuery', (original) => {
      return function handleReadyForQuery(...args) {
        try {
          return original.apply(this, args)
        } finally {
          // Last: for a row that could not be parsed the original calls `handleError`.
          end(undefined)
        }
      }
    }),
    patch(submittable, 'handleError', (original) => {
      return function handleError(...args) {
        end(args[0])
        return original.apply(this, args)
      }
    }),
  ]

  function end(error: unknown): void {
    for (const putBack of restore) putBack()
    ended(error)
  }
}

function isSubmittable(query: unknown): query is object {
  return typeof (query as { submit?: unknown } | null | undefined)?.submit === 'function'
}

function hasCallback(query: unknown): query is { callback: unknown } & object {
  return typeof (query as { callback?: unknown } | null | undefined)?.callback === 'function'
}

/** The text of what can be given to `query`: a string, a configuration or a query object; a stream keeps it in its cursor. */
function textOf(query: unknown): unknown {
  if (typeof query !== 'object' || query === null) return query
  const { text, cursor } = query as { text?: unknown; cursor?: { text?: unknown } }
  return text ?? cursor?.text
}
