/**
 * lru-cache 10 and 11, recognized by what it has, so that it is no dependency.
 *
 * @module
 */

import { type Method, patch } from '@data20/metrics-core/plugin'
import type { Adapter, EvictionReason, ObservableCache } from './adapter.ts'
import { REASONS } from './metrics.ts'

/** A function for lru-cache's option `dispose`. */
export type Dispose<Value, Key> = (value: Value, key: Key, reason: EvictionReason) => void

const kListeners = Symbol('data20.cache-metrics.listeners')

/** A dispose function that tells those who observe the cache. */
interface DisposeHook {
  [kListeners]: Set<(reason: EvictionReason) => void>
}

/** What is used of an LRUCache. */
interface LruCache extends ObservableCache {
  readonly size: number
  readonly calculatedSize: number
  readonly maxSize: number
  readonly maxEntrySize: number
  readonly sizeCalculation?: unknown
  readonly dispose?: Partial<DisposeHook>
}

/** What lru-cache writes about one lookup into the option `status`. */
interface Status {
  get?: string
  fetch?: string
  memo?: string
  returnedStale?: boolean
}

/**
 * Makes the function for the option `dispose` of an LRUCache whose evictions are to be counted: lru-cache takes one only in its
 * constructor. `own` is called as lru-cache would call it. Counts nothing until the cache is observed; one for each cache.
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
    /** lru-cache 10 calls `get` in its other lookups, which is no lookup of the application. */
    let isInside = false
    const restore = [
      patch(cache, 'get', (original) => {
        return function (...args) {
          const value = original.apply(this, args)
          if (!isInside) count(value !== undefined)
          return value
        }
      }),
      // Who finds nothing does not `get` afterwards, who finds something does.
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
      // Without a size calculation lru-cache says 0.
      bytes: hasSizes(cache) ? () => cache.calculatedSize : undefined,
      release() {
        listeners?.delete(evicted)
        for (const putBack of restore) putBack()
      },
    }

    /** These look the value up, load it when it is missing, and say at once in `status` which of both. */
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
