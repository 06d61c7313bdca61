import type { CounterSeries, GaugeSeries, HistogramSeries, Metrics } from '@data20/metrics-core'
import { definitions, OPERATIONS } from './metrics.ts'
import type { Operation } from './operation.ts'
import { sqlstateClass } from './sqlstate.ts'

/** The bound series of one pool. */
export interface PoolSeries {
  /** Counts a query that ended; without an error it succeeded. */
  count(operation: Operation, seconds: number, error: unknown): void
  wait: HistogramSeries
  active: GaugeSeries
  idle: GaugeSeries
  max: GaugeSeries
  waiting: GaugeSeries
  up: GaugeSeries
}

interface OperationSeries {
  queries: CounterSeries
  duration: HistogramSeries
  slow: CounterSeries
}

/** The instruments, and from them the series of a pool, which exist at zero from then on. */
export function createInstruments(
  metrics: Metrics,
  buckets: readonly number[] | undefined,
  slowQuerySeconds: number,
): (pool: string) => PoolSeries {
  const { duration: durationDefinition, wait: waitDefinition } = definitions
  const queries = metrics.counter(definitions.queries)
  const duration = metrics.histogram({ ...durationDefinition, buckets: buckets ?? durationDefinition.buckets })
  const slow = metrics.counter(definitions.slow)
  const errors = metrics.counter(definitions.errors)
  const active = metrics.gauge(definitions.active)
  const idle = metrics.gauge(definitions.idle)
  const max = metrics.gauge(definitions.max)
  const waiting = metrics.gauge(definitions.waiting)
  const wait = metrics.histogram({ ...waitDefinition, buckets: buckets ?? waitDefinition.buckets })
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
      // The other classes come when they happen: all of them would be 484 series, of which most stay at zero.
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
      // Both labels are from fixed lists, so the series are bounded without the cap.
      if (error) errors.reserve({ operation, pool, sqlstate_class: sqlstateClass(error) }).inc()
    }
  }
}
