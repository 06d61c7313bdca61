/**
 * The instruments of cache-metrics, and the series of each type.
 *
 * @module
 */
import type { Counter, CounterSeries, Gauge, HistogramSeries, Metrics } from '@data20/metrics-core'
import { definitions } from './metrics.ts'

/** The bound series of one type. */
export interface CacheSeries {
  hits: CounterSeries
  misses: CounterSeries
  load: HistogramSeries
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
  const size = metrics.gauge(definitions.size)
  const entries = metrics.gauge(definitions.entries)
  const evictions = metrics.counter(definitions.evictions)
  const load = metrics.histogram({ ...definitions.load, buckets })
  const reserved = new Map<string, CacheSeries>()

  return { size, entries, evictions, reserve, seriesOf }

  function reserve(cache_type: string): CacheSeries {
    const series = {
      hits: hits.reserve({ cache_type }),
      misses: misses.reserve({ cache_type }),
      load: load.reserve({ cache_type }),
    }
    reserved.set(cache_type, series)
    return series
  }

  function seriesOf(cache_type: string): CacheSeries {
    return (
      reserved.get(cache_type) ?? {
        hits: hits.labels({ cache_type }),
        misses: misses.labels({ cache_type }),
        load: load.labels({ cache_type }),
      }
    )
  }
}
