/**
 * The options of cache-metrics: their meaning, their defaults and their checks.
 *
 * @module
 */
import { checkBuckets, checkList, checkOptionNames, type OptionNames } from '@data20/metrics-core/plugin'
import { definitions } from './metrics.ts'

/**
 * A cache that can be observed: an object with a `get` that returns a value or a promise of one, or calls back. Methods
 * that read several keys, `wrap`, `getOrSet`, `has`, `delete` and a number `size` are used where they exist.
 */
export interface ObservableCache {
  get(...args: never[]): unknown
}

/** A cache with options of its own. */
export interface CacheWithOptions extends ObserveOptions {
  cache: ObservableCache
}

export interface CacheMetricsOptions {
  /**
   * Caches to observe, by the value of the label `cache_type`, each alone or with options: `{ cache, nullIsMiss }`.
   * `observe` adds more later.
   * @default {}
   */
  caches?: Readonly<Record<string, ObservableCache | CacheWithOptions>>

  /**
   * Types that are only recorded or loaded by hand. Their series exist at zero from the start.
   * @default []
   */
  types?: readonly string[]

  /**
   * Bucket boundaries of `cache_load_duration_seconds`, in seconds. A threshold that an alert uses must be a boundary.
   * @default 0.001 0.005 0.01 0.05 0.1 0.5 1 5 10 30 60
   */
  buckets?: readonly number[]
}

export type ResolvedOptions = Required<CacheMetricsOptions>

export interface ObserveOptions {
  /**
   * Counts `null` as a miss. `undefined` is always a miss.
   * @default true for answers by promise and callback, as remote caches give them, false for others
   */
  nullIsMiss?: boolean | undefined
}

const NAMES: OptionNames<CacheMetricsOptions> = {
  caches: ['cache', 'stores'],
  types: ['cacheTypes'],
  buckets: ['histogramBuckets', 'loadBuckets'],
}

/** Returns the options with their defaults. Throws `InvalidOptionError`. */
export function resolveOptions(options: CacheMetricsOptions): ResolvedOptions {
  checkOptionNames('cache-metrics', options, NAMES)
  const { caches = {}, types = [], buckets = definitions.load.buckets } = options
  checkList(types, 'types')
  checkBuckets(buckets)
  return { caches, types, buckets }
}
