/**
 * The interface between the plugin and the kinds of caches.
 *
 * @module
 */
import type { EvictionReason, Result } from './metrics.ts'
import type { ObservableCache, ObserveOptions } from './options.ts'

/** The events that an adapter reports. */
export interface CacheEvents {
  /** Lookups that have ended, one for each key. */
  answered(result: Result, count?: number): void
  evicted(reason: EvictionReason, count?: number): void
  /** A value was loaded, or failed to be, in this time. */
  loaded(seconds: number): void
}

/** A cache under observation. */
export interface WatchedCache {
  /** The reasons for evictions that the adapter can see. */
  readonly reasons: readonly EvictionReason[]
  /** Returns the current number of entries. Missing if the cache does not tell. */
  readonly entries?: (() => number) | undefined
  /** Returns the current size in bytes. Missing if the cache does not tell. */
  readonly bytes?: (() => number) | undefined
  /** Ends the observation and restores the methods of the cache. */
  release(): void
}

/** An adapter for one kind of cache. */
export interface Adapter {
  fits(cache: ObservableCache): boolean
  watch(cache: ObservableCache, events: CacheEvents, options: ObserveOptions): WatchedCache
}
