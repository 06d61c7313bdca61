/**
 * The instruments of cache-metrics, and the series of each type.
 *
 * @module
 */
import type { Counter, CounterSeries, Gauge, HistogramSeries, Metrics } from '@data20/metrics-core'
import { definitions, RESULTS, type Result } from './metrics.ts'

/** The bound series of one type. */
export interface CacheSeries {
  hits: CounterSeries
  misses: CounterSeries
  requests: Record<Result, CounterSeries>
  load: HistogramSeries
}

/** Counts lookups by how they ended. A stale value is an answer; waiting for the load of another caller is none. */
export function countLookups({ hits, misses, requests }: CacheSeries, result: Result, count = 1): void {
  if (count === 0) return
  requests[result].inc(count)
  if (result === 'hit' || result === 'stale') hits.inc(count)
  else if (result !== 'error') misses.inc(count)
}

export interface Instruments {
  size: Gauge<'cache_type'>
  entries: Gauge<'cache_type'>
  evictions: Counter<'cache_type' | 'reason'>
  /** Makes the series of a type at zero. They are exempt from the cardinality limit. */
  reserve(type: string): CacheSeries
  /**
   * Returns the series of a type. Types that were not reserved share one overflow series beyond the cardinality limit.
   */
  seriesOf(type: string): CacheSeries
}

export function createInstruments(metrics: Metrics, buckets: readonly number[]): Instruments {
  // The order of the calls is the order of the exposition.
  const hits = metrics.counter(definitions.hits)
  const misses = metrics.counter(definitions.misses)
  const requests = metrics.counter(definitions.requests)
  const size = metrics.gauge(definitions.size)
  const entries = metrics.gauge(definitions.entries)
  const evictions = metrics.counter(definitions.evictions)
  const load = metrics.histogram({ ...definitions.load, buckets })
  const reserved = new Map<string, CacheSeries>()

  return { size, entries, evictions, reserve, seriesOf }

  function reserve(cache_type: string): CacheSeries {
    const series = bind(cache_type, 'reserve')
    reserved.set(cache_type, series)
    return series
  }

  function seriesOf(cache_type: string): CacheSeries {
    return reserved.get(cache_type) ?? bind(cache_type, 'labels')
  }

  function bind(cache_type: string, method: 'reserve' | 'labels'): CacheSeries {
    return {
      hits: hits[method]({ cache_type }),
      misses: misses[method]({ cache_type }),
      requests: Object.fromEntries(
        RESULTS.map((result) => [result, requests[method]({ cache_type, result })]),
      ) as CacheSeries['requests'],
      load: load[method]({ cache_type }),
    }
  }
}
