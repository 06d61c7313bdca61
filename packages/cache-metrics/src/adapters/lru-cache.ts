/**
 * The adapter for lru-cache 10 and 11. It recognizes an LRUCache by its properties, so lru-cache is not a dependency.
 *
 * @module
 */
import { type Method, patch } from '@data20/metrics-core/plugin'
import type { Adapter } from '../adapter.ts'
import { type EvictionReason, REASONS } from '../metrics.ts'
import type { ObservableCache } from '../options.ts'

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
  readonly dispose?: Partial<DisposeHook>
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

  watch(observed, { hit, miss, evicted }) {
    const cache = observed as LruCache
    const listeners = cache.dispose?.[kListeners]
    listeners?.add(evicted)
    /** True inside of another lookup: lru-cache 10 calls `get` there, which is not a lookup of the application. */
    let isInside = false
    const restore = [
      patch(cache, 'get', (original) => {
        return function (...args) {
          const value = original.apply(this, args)
          if (!isInside) count(value !== undefined)
          return value
        }
      }),
      // A `has` miss is not followed by `get`. A hit usually is, and is counted there.
      patch(cache, 'has', (original) => {
        return function (...args) {
          const isThere = original.apply(this, args)
          if (!isThere) miss()
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

    /**
     * Wraps a method that looks a value up and loads it when it is missing. `status` tells synchronously which it was.
     */
    function countByStatus(original: Method): Method {
      return function (key, options, ...args) {
        const status: Status = (options as { status?: Status } | undefined)?.status ?? {}
        isInside = true
        try {
          return original.call(this, key, { ...(options as object | undefined), status }, ...args)
        } finally {
          isInside = false
          const { get, fetch, memo, returnedStale = false } = status
          count((fetch === 'get' ? get : (fetch ?? memo)) === 'hit' || returnedStale)
        }
      }
    }

    function count(isHit: boolean): void {
      if (isHit) hit()
      else miss()
    }
  },
}

function hasSizes({ maxSize, maxEntrySize, sizeCalculation }: LruCache): boolean {
  return maxSize > 0 || maxEntrySize > 0 || sizeCalculation !== undefined
}
