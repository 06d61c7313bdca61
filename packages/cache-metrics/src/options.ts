import type { ObservableCache } from './adapter.ts'

export interface CacheMetricsOptions {
  /**
   * Caches to observe, by the type that the label `cache_type` gets; `observe` adds more later.
   * @default {}
   */
  caches?: Readonly<Record<string, ObservableCache>>

  /**
   * Types that are only recorded or loaded by hand, so that their series exist at zero.
   * @default []
   */
  types?: readonly string[]

  /**
   * Upper bounds of `cache_load_duration_seconds`, in seconds. A threshold that somebody is alerted on must be a bound.
   * @default 0.001 0.005 0.01 0.05 0.1 0.5 1 5 10 30 60
   */
  buckets?: readonly number[]
}

export interface ObserveOptions {
  /**
   * Whether `null` stands for a miss, as it does for Redis clients; `undefined` always does.
   * @default false
   */
  nullIsMiss?: boolean | undefined
}
