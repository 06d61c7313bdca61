/**
 * Makes the instruments of db-metrics and binds the series of each pool.
 *
 * @module
 */
import type { CounterSeries, GaugeSeries, HistogramSeries, Metrics } from '@data20/metrics-core'
import { definitions, OPERATIONS } from './metrics.ts'
import type { Operation } from './operation.ts'
import type { ResolvedOptions } from './options.ts'
import type { ConnectionSeries } from './pool.ts'
import { sqlstateClass } from './sqlstate.ts'

/** The bound series of one pool. */
export interface PoolSeries extends ConnectionSeries {
  /** Counts a query that has ended. Without an error it succeeded. */
  count(operation: Operation, seconds: number, error: unknown): void
  wait: HistogramSeries
  up: GaugeSeries
}

interface OperationSeries {
  queries: CounterSeries
  duration: HistogramSeries
  slow: CounterSeries
}

/** Makes the instruments. The function returned binds the series of a pool, which exist at zero from then on. */
export function createInstruments(
  metrics: Metrics,
  { buckets, slowQuerySeconds }: ResolvedOptions,
): (pool: string) => PoolSeries {
  const queries = metrics.counter(definitions.queries)
  const duration = metrics.histogram({ ...definitions.duration, buckets })
  const slow = metrics.counter(definitions.slow)
  const errors = metrics.counter(definitions.errors)
  const active = metrics.gauge(definitions.active)
  const idle = metrics.gauge(definitions.idle)
  const max = metrics.gauge(definitions.max)
  const waiting = metrics.gauge(definitions.waiting)
  const wait = metrics.histogram({ ...definitions.wait, buckets })
  const up = metrics.gauge(definitions.up)

  return (pool) => {
    const series = Object.fromEntries(OPERATIONS.map((operation) => [operation, reserve(operation)])) as Record<
      Operation,
      OperationSeries
    >
    return {
      count,
      wait: wait.reserve({ pool }),
      active: active.reserve({ pool }),
      idle: idle.reserve({ pool }),
      max: max.reserve({ pool }),
      waiting: waiting.reserve({ pool }),
      up: up.reserve({ pool }),
    }

    function reserve(operation: Operation): OperationSeries {
      // Other classes get their series when they occur: all of them would be 484 series, most of them at zero for ever.
      errors.reserve({ operation, pool, sqlstate_class: 'other' })
      return {
        queries: queries.reserve({ operation, pool }),
        duration: duration.reserve({ operation, pool }),
        slow: slow.reserve({ operation, pool }),
      }
    }

    function count(operation: Operation, seconds: number, error: unknown): void {
      const { queries, duration, slow } = series[operation]
      queries.inc()
      duration.observe(seconds)
      if (seconds > slowQuerySeconds) slow.inc()
      // Both labels have a fixed set of values, so the series are bounded without the cardinality limit.
      if (error) errors.reserve({ operation, pool, sqlstate_class: sqlstateClass(error) }).inc()
    }
  }
}
