/**
 * Makes the instruments of db-metrics and binds the series of each pool.
 *
 * @module
 */
import type { CounterSeries, HistogramSeries, Metrics } from '@data20/metrics-core'
import type { PoolSeries } from './adapter.ts'
import { definitions, OPERATIONS, OUTCOMES, RESULTS } from './metrics.ts'
import type { Operation } from './operation.ts'
import type { ResolvedOptions } from './options.ts'
import { sqlstateClass } from './sqlstate.ts'

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
  const wait = metrics.histogram({ ...definitions.wait, buckets })
  const timeouts = metrics.counter(definitions.timeouts)
  const checkout = metrics.histogram(definitions.checkout)
  const transactions = metrics.counter(definitions.transactions)
  const transactionDuration = metrics.histogram(definitions.transactionDuration)
  const gauges = {
    active: metrics.gauge(definitions.active),
    idle: metrics.gauge(definitions.idle),
    max: metrics.gauge(definitions.max),
    waiting: metrics.gauge(definitions.waiting),
    idleInTransaction: metrics.gauge(definitions.idleInTransaction),
    up: metrics.gauge(definitions.up),
  }

  return (pool) => {
    const series = byKey(OPERATIONS, reserve)
    return {
      count,
      wait: byKey(RESULTS, (result) => wait.reserve({ pool, result })),
      timeouts: timeouts.reserve({ pool }),
      checkout: checkout.reserve({ pool }),
      transactions: byKey(OUTCOMES, (outcome) => ({
        count: transactions.reserve({ outcome, pool }),
        duration: transactionDuration.reserve({ outcome, pool }),
      })),
      active: gauges.active.reserve({ pool }),
      idle: { set: (value) => gauges.idle.set({ pool }, value) },
      max: gauges.max.reserve({ pool }),
      waiting: gauges.waiting.reserve({ pool }),
      idleInTransaction: gauges.idleInTransaction.reserve({ pool }),
      up: gauges.up.reserve({ pool }),
      remove() {
        for (const gauge of Object.values(gauges)) gauge.remove({ pool })
      },
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

    function count(operation: Operation, seconds: number | undefined, error: unknown): void {
      const { queries, duration, slow } = series[operation]
      queries.inc()
      if (seconds !== undefined) {
        duration.observe(seconds)
        if (seconds > slowQuerySeconds) slow.inc()
      }
      // Both labels have a fixed set of values, so the series are bounded without the cardinality limit.
      if (error) errors.reserve({ operation, pool, sqlstate_class: sqlstateClass(error) }).inc()
    }
  }
}

function byKey<Key extends string, Value>(keys: readonly Key[], make: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>
}
