import { getSet } from './get-set.ts'
import { lruCache } from './lru-cache.ts'
import type { REASONS } from './metrics.ts'
import type { ObserveOptions } from './options.ts'

/** Anything with a `get` that returns a value or a promise of one; `has`, `delete` and a number `size` are used where they are. */
export interface ObservableCache {
  get(...args: never[]): unknown
}

/** Why an entry left a cache. */
export type EvictionReason = (typeof REASONS)[number]

/** What an adapter reports to. */
export interface CacheEvents {
  hit(): void
  miss(): void
  evicted(reason: EvictionReason): void
}

/** A cache that is watched. */
export interface WatchedCache {
  /** Why entries can leave it, as far as that can be seen. */
  readonly reasons: readonly EvictionReason[]
  /** Entries now; missing where the cache does not say. */
  readonly entries?: (() => number) | undefined
  /** Bytes now; missing where the cache does not say. */
  readonly bytes?: (() => number) | undefined
  /** Puts the cache back as it was. */
  release(): void
}

/** Knows one kind of cache. */
export interface Adapter {
  fits(cache: ObservableCache): boolean
  watch(cache: ObservableCache, events: CacheEvents, options: ObserveOptions): WatchedCache
}

/** Watches a cache with the adapter that knows most about it. */
export function watchCache(cache: ObservableCache, events: CacheEvents, options: ObserveOptions): WatchedCache {
  const adapter = [lruCache, getSet].find((adapter) => adapter.fits(cache))!
  return adapter.watch(cache, events, options)
}
