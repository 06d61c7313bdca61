/**
 * All adapters, and the choice between them.
 *
 * @module
 */
import type { Adapter, CacheEvents, WatchedCache } from '../adapter.ts'
import type { ObservableCache, ObserveOptions } from '../options.ts'
import { getSet } from './get-set.ts'
import { lruCache } from './lru-cache.ts'

/** The most specific adapter comes first. The last one fits every cache. */
const ADAPTERS: readonly Adapter[] = [lruCache, getSet]

/** Observes a cache with the first adapter that fits. */
export function watchCache(cache: ObservableCache, events: CacheEvents, options: ObserveOptions): WatchedCache {
  return ADAPTERS.find((adapter) => adapter.fits(cache))!.watch(cache, events, options)
}
