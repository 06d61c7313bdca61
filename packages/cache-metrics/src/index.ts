/**
 * `fastify.cacheMetrics`: hits and misses, size, evictions and the cost of a miss, of any cache.
 *
 * @module
 */
import type { CounterSeries, HistogramSeries } from '@data20/metrics-core'
import { checkList, ensureMetrics } from '@data20/metrics-core/plugin'
import createError, { type FastifyErrorConstructor } from '@fastify/error'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { type EvictionReason, type ObservableCache, watchCache } from './adapter.ts'
import { type Dispose, disposeHook } from './lru-cache.ts'
import { definitions } from './metrics.ts'
import type { CacheMetricsOptions, ObserveOptions } from './options.ts'

/** What applications find at `fastify.cacheMetrics`. */
export interface CacheMetrics {
  /** Counts one lookup. A type that is neither observed nor in the option `types` gets its series now, under the cap. */
  record(type: string, hit: boolean): void
  /**
   * Counts the lookups of a cache, and what it says of its size and evictions, until the application closes. The methods of
   * this one object are replaced by ones that count. Throws for a type that has another
   * cache, a cache that has another type, and for what has no `get`.
   */
  observe(type: string, cache: ObservableCache, options?: ObserveOptions): void
  /** Calls `load` and times it until its promise settles; settles as that does. The cost of a miss. */
  load<Result>(type: string, load: () => Result | Promise<Result>): Promise<Result>
}

declare module 'fastify' {
  interface FastifyInstance {
    cacheMetrics: CacheMetrics
  }
}

/** Something that cannot be observed as it is asked for. Arguments: the type, what was expected, what was got. */
export const CacheError: FastifyErrorConstructor<{ code: string }, [string, string, string]> = createError(
  'CACHE_METRICS_ERR_CACHE',
  'Expected cache `%s` to be %s, got %s',
  500,
)

/** The bound series of one type. */
interface CacheSeries {
  hits: CounterSeries
  misses: CounterSeries
  load: HistogramSeries
}

async function cacheMetrics(fastify: FastifyInstance, options: CacheMetricsOptions): Promise<void> {
  const { caches = {}, types = [], buckets = definitions.load.buckets } = options
  checkList(types, 'types')

  const metrics = await ensureMetrics(fastify)
  const hits = metrics.counter(definitions.hits)
  const misses = metrics.counter(definitions.misses)
  const size = metrics.gauge(definitions.size)
  const entries = metrics.gauge(definitions.entries)
  const evictions = metrics.counter(definitions.evictions)
  const loadDuration = metrics.histogram({ ...definitions.load, buckets })
  const seriesByType = new Map<string, CacheSeries>()
  const cacheByType = new Map<string, ObservableCache>()
  const release: Array<() => void> = []

  for (const type of types) reserve(type)

  fastify.decorate('cacheMetrics', { record, observe, load })
  for (const [type, cache] of Object.entries(caches)) observe(type, cache)

  fastify.addHook('onClose', async () => {
    for (const stop of release.reverse()) stop()
  })

  function record(type: string, hit: boolean): void {
    const { hits, misses } = seriesByType.get(type) ?? cappedSeries(type)
    if (hit) hits.inc()
    else misses.inc()
  }

  function observe(type: string, cache: ObservableCache, observeOptions: ObserveOptions = {}): void {
    if (typeof cache?.get !== 'function') throw new CacheError(type, 'an object with a method get', String(cache))
    if (cacheByType.get(type) === cache) return
    if (cacheByType.has(type)) throw new CacheError(type, 'the only cache of its type', 'a second one')
    if ([...cacheByType.values()].includes(cache)) throw new CacheError(type, 'a cache of one type', 'a known one')
    cacheByType.set(type, cache)

    const { hits, misses } = reserve(type)
    const evictionsByReason = new Map<EvictionReason, CounterSeries>()
    const watched = watchCache(
      cache,
      {
        hit: () => hits.inc(),
        miss: () => misses.inc(),
        // A reason that this version does not know is counted under the cap.
        evicted: (reason) => (evictionsByReason.get(reason) ?? evictions.labels({ cache_type: type, reason })).inc(),
      },
      observeOptions,
    )
    release.push(watched.release)
    for (const reason of watched.reasons) {
      evictionsByReason.set(reason, evictions.reserve({ cache_type: type, reason }))
    }

    const gauges = [
      { series: watched.entries && entries.reserve({ cache_type: type }), read: watched.entries },
      { series: watched.bytes && size.reserve({ cache_type: type }), read: watched.bytes },
    ]
    release.push(
      metrics.collector(`cache_${type}`, () => {
        for (const { series, read } of gauges) if (read) series?.set(read())
      }),
    )
  }

  async function load<Result>(type: string, run: () => Result | Promise<Result>): Promise<Result> {
    const startMs = performance.now()
    try {
      return await run()
    } finally {
      const { load } = seriesByType.get(type) ?? cappedSeries(type)
      load.observe((performance.now() - startMs) / 1000)
    }
  }

  function reserve(cache_type: string): CacheSeries {
    const series = {
      hits: hits.reserve({ cache_type }),
      misses: misses.reserve({ cache_type }),
      load: loadDuration.reserve({ cache_type }),
    }
    seriesByType.set(cache_type, series)
    return series
  }

  function cappedSeries(cache_type: string): CacheSeries {
    return {
      hits: hits.labels({ cache_type }),
      misses: misses.labels({ cache_type }),
      load: loadDuration.labels({ cache_type }),
    }
  }
}

const plugin: FastifyPluginAsync<CacheMetricsOptions> = fp(cacheMetrics, {
  name: '@data20/cache-metrics',
  fastify: '5.x',
})

export type { CacheMetricsOptions, Dispose, EvictionReason, ObservableCache, ObserveOptions }
export { disposeHook, plugin as default, plugin as cacheMetrics }
