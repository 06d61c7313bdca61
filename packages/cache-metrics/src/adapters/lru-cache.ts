/**
 * The adapter for lru-cache 10 and 11. It recognizes an LRUCache by its properties, so lru-cache is not a dependency.
 *
 * @module
 */
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { Adapter } from '../adapter.ts'
import { type EvictionReason, REASONS, type Result } from '../metrics.ts'
import type { ObservableCache } from '../options.ts'
import { isThenable } from './answers.ts'

/** The type of lru-cache's option `dispose`. */
export type Dispose<Value, Key> = (value: Value, key: Key, reason: EvictionReason) => void

const kListeners = Symbol('data20.cache-metrics.listeners')

/** A dispose function that notifies the observers of the cache. */
interface DisposeHook {
  [kListeners]: Set<(reason: EvictionReason) => void>
}

/** The properties of an LRUCache that the adapter uses. */
interface LruCache extends ObservableCache {
  readonly size: number
  readonly calculatedSize: number
  readonly maxSize: number
  readonly maxEntrySize: number
  readonly sizeCalculation?: unknown
  readonly allowStale?: boolean
  readonly dispose?: Partial<DisposeHook>
}

/** The options of a lookup that the adapter uses. */
interface GetOptions {
  allowStale?: boolean
  status?: Status
}

/** The report of lru-cache on one lookup, written into the option `status`. */
interface Status {
  get?: string
  fetch?: string
  memo?: string
  returnedStale?: boolean
}

/**
 * Makes the function for the option `dispose` of an LRUCache, so that its evictions can be counted: lru-cache accepts
 * one only in its constructor. Calls `own` as lru-cache would. Counts nothing until the cache is observed. Make one per
 * cache.
 */
export function disposeHook<Value = unknown, Key = unknown>(own?: Dispose<Value, Key>): Dispose<Value, Key> {
  const listeners: DisposeHook[typeof kListeners] = new Set()
  function dispose(this: unknown, value: Value, key: Key, reason: EvictionReason): void {
    for (const listener of listeners) listener(reason)
    own?.call(this, value, key, reason)
  }
  return Object.assign(dispose, { [kListeners]: listeners })
}

export const lruCache: Adapter = {
  fits: (cache) => 'calculatedSize' in cache && 'dispose' in cache,

  watch(observed, events) {
    const { answered, evicted } = events
    const cache = observed as LruCache
    const listeners = cache.dispose?.[kListeners]
    listeners?.add(evicted)
    /** True inside of another lookup: lru-cache 10 calls `get` there, which is not a lookup of the application. */
    let isInside = false
    const restore = [
      patch(cache, 'get', (original) => {
        return function (key, options, ...args) {
          // Only then can the value be stale, which the status tells.
          const { allowStale = cache.allowStale } = (options ?? {}) as GetOptions
          if (!allowStale || isInside) return judgeValue(original.call(this, key, options, ...args))
          const status: Status = (options as GetOptions | undefined)?.status ?? {}
          const value = original.call(this, key, { ...(options as object | undefined), status }, ...args)
          answered(resultOf(status, status.get, value))
          return value
        }
      }),
      // A `has` miss is not followed by `get`. A hit usually is, and is counted there.
      patch(cache, 'has', (original) => {
        return function (...args) {
          const isThere = original.apply(this, args)
          if (!isThere) answered('miss')
          return isThere
        }
      }),
      ...['fetch', 'forceFetch', 'memo']
        .filter((name) => name in cache)
        .map((name) => patch(cache, name, countByStatus)),
    ]

    return {
      reasons: listeners === undefined ? [] : REASONS,
      entries: () => cache.size,
      // Without a size calculation lru-cache reports 0.
      bytes: hasSizes(cache) ? () => cache.calculatedSize : undefined,
      release() {
        listeners?.delete(evicted)
        for (const putBack of restore) putBack()
      },
    }

    function judgeValue(value: unknown): unknown {
      if (!isInside) answered(value === undefined ? 'miss' : 'hit')
      return value
    }

    /**
     * Wraps a method that looks a value up and loads it when it is missing. `status` tells which it was, for a load
     * when it has ended.
     */
    function countByStatus(original: Method): Method {
      return function (key, options, ...args) {
        const status: Status = (options as GetOptions | undefined)?.status ?? {}
        const startMs = performance.now()
        let answer: unknown
        isInside = true
        try {
          answer = original.call(this, key, { ...(options as object | undefined), status }, ...args)
        } catch (error) {
          answered('error')
          throw error
        } finally {
          isInside = false
        }
        if (isThenable(answer)) answer.then(end, end)
        else end(answer)
        return answer

        function end(value: unknown): void {
          const { get, fetch, memo } = status
          const result = resultOf(status, fetch === 'get' ? get : (fetch ?? memo), value)
          answered(result)
          const isLoaded = fetch === 'miss' || fetch === 'refresh' || (fetch === undefined && memo === 'miss')
          if (isLoaded) events.loaded((performance.now() - startMs) / 1000)
        }
      }
    }
  },
}

/** `state` is what lru-cache says of a lookup. */
function resultOf({ returnedStale }: Status, state: string | undefined, value: unknown): Result {
  if (returnedStale) return 'stale'
  if (state === 'inflight') return 'coalesced'
  return state === 'hit' || (state === undefined && value !== undefined) ? 'hit' : 'miss'
}

function hasSizes({ maxSize, maxEntrySize, sizeCalculation }: LruCache): boolean {
  return maxSize > 0 || maxEntrySize > 0 || sizeCalculation !== undefined
}
