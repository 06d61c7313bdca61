/**
 * `fastify.cacheMetrics`: hits and misses, size, evictions and the cost of a miss, of any cache.
 *
 * @module
 */
import type { CounterSeries } from '@data20/metrics-core'
import { ensureMetrics } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { WatchedCache } from './adapter.ts'
import { watchCache } from './adapters/index.ts'
import { CacheError } from './errors.ts'
import { countLookups, createInstruments } from './instruments.ts'
import type { EvictionReason } from './metrics.ts'
import {
  type CacheMetricsOptions,
  type CacheWithOptions,
  type ObservableCache,
  type ObserveOptions,
  resolveOptions,
} from './options.ts'

/** The decorator `fastify.cacheMetrics`. */
export interface CacheMetrics {
  /**
   * Counts one lookup. A type that is neither observed nor in the option `types` gets its series now, within the
   * cardinality limit.
   */
  record(type: string, hit: boolean): void
  /**
   * Counts the lookups of a cache, and reads its size and evictions, until the application closes. Replaces methods of
   * this one object by methods that count. Throws `CacheError` if the type already has another cache, if the cache
   * already has another type, and for an object without `get`.
   */
  observe(type: string, cache: ObservableCache, options?: ObserveOptions): void
  /** Calls `load` and measures the cost of a miss: the time until its promise settles. Settles as that promise does. */
  load<Result>(type: string, load: () => Result | Promise<Result>): Promise<Result>
}

declare module 'fastify' {
  interface FastifyInstance {
    cacheMetrics: CacheMetrics
  }
}

async function cacheMetrics(fastify: FastifyInstance, options: CacheMetricsOptions): Promise<void> {
  const { caches, types, buckets } = resolveOptions(options)

  const metrics = await ensureMetrics(fastify)
  const { size, entries, evictions, reserve, seriesOf } = createInstruments(metrics, buckets)
  const cacheByType = new Map<string, ObservableCache>()
  const release: Array<() => void> = []

  for (const type of types) reserve(type)

  fastify.decorate('cacheMetrics', { record, observe, load })
  for (const [type, cache] of Object.entries(caches)) {
    if (hasOptions(cache)) observe(type, cache.cache, cache)
    else observe(type, cache)
  }

  fastify.addHook('onClose', async () => {
    for (const stop of release.reverse()) stop()
  })

  function record(type: string, hit: boolean): void {
    countLookups(seriesOf(type), hit ? 'hit' : 'miss')
  }

  function observe(type: string, cache: ObservableCache, observeOptions: ObserveOptions = {}): void {
    if (typeof cache?.get !== 'function') throw new CacheError(type, 'an object with a method get', String(cache))
    if (cacheByType.get(type) === cache) return
    if (cacheByType.has(type)) throw new CacheError(type, 'the only cache of its type', 'a second one')
    if ([...cacheByType.values()].includes(cache)) throw new CacheError(type, 'a cache of one type', 'a known one')
    cacheByType.set(type, cache)

    const series = reserve(type)
    const evictionsByReason = new Map<EvictionReason, CounterSeries>()
    const watched = watchCache(
      cache,
      {
        answered: (result, count) => countLookups(series, result, count),
        // A newer lru-cache may have a reason that this version does not know. The cardinality limit applies to it.
        evicted: (reason, count) =>
          (evictionsByReason.get(reason) ?? evictions.labels({ cache_type: type, reason })).inc(count),
        loaded: (seconds) => series.load.observe(seconds),
      },
      observeOptions,
    )
    release.push(watched.release)
    for (const reason of watched.reasons) {
      evictionsByReason.set(reason, evictions.reserve({ cache_type: type, reason }))
    }
    release.push(collectSize(type, watched))
  }

  /** Reads entries and bytes at each scrape. The function returned ends that. */
  function collectSize(type: string, watched: WatchedCache): () => void {
    const gauges = [
      { series: watched.entries && entries.reserve({ cache_type: type }), read: watched.entries },
      { series: watched.bytes && size.reserve({ cache_type: type }), read: watched.bytes },
    ]
    return metrics.collector(`cache_${type}`, () => {
      for (const { series, read } of gauges) if (read) series?.set(read())
    })
  }

  async function load<Result>(type: string, run: () => Result | Promise<Result>): Promise<Result> {
    const startMs = performance.now()
    try {
      return await run()
    } finally {
      seriesOf(type).load.observe((performance.now() - startMs) / 1000)
    }
  }
}

function hasOptions(cache: ObservableCache | CacheWithOptions): cache is CacheWithOptions {
  return (
    typeof (cache as Partial<ObservableCache> | null)?.get !== 'function' &&
    (cache as object | null) !== null &&
    typeof cache === 'object' &&
    'cache' in cache
  )
}

const plugin: FastifyPluginAsync<CacheMetricsOptions> = fp(cacheMetrics, {
  name: '@data20/cache-metrics',
  fastify: '5.x',
})

export { type Dispose, disposeHook } from './adapters/lru-cache.ts'
export { CacheError } from './errors.ts'
export type { CacheMetricsOptions, CacheWithOptions, EvictionReason, ObservableCache, ObserveOptions }
export { plugin as default, plugin as cacheMetrics }
