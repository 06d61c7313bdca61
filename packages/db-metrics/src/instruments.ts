/**
 * Makes the instruments of db-metrics and binds the series of each pool.
 *
 * @module
 */
import type { CounterSeries, Metrics } from '@data20/metrics-core'
import type { PoolSeries, QuerySeries } from './adapter.ts'
import { definitions, OPERATIONS, OUTCOMES, RESULTS } from './metrics.ts'
import { type Operation, operationOf } from './operation.ts'
import type { ResolvedOptions } from './options.ts'
import { sqlstateClass } from './sqlstate.ts'

/** Makes the instruments. The function returned binds the series of a pool, which exist at zero from then on. */
export function createInstruments(
  metrics: Metrics,
  { buckets, slowQuerySeconds, queryName }: ResolvedOptions,
): (pool: string) => PoolSeries {
  const queries = metrics.counter(withQuery(definitions.queries))
  const duration = metrics.histogram({ ...withQuery(definitions.duration), buckets })
  const slow = metrics.counter(withQuery(definitions.slow))
  const errors = metrics.counter(withQuery(definitions.errors))
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
    const unnamed = byKey(OPERATIONS, (operation) => bind(operation, queryName && 'other'))
    const named = new Map<string, QuerySeries>()
    return {
      query,
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

    function query(text: unknown, name: unknown): QuerySeries {
      const operation = operationOf(text)
      const value = queryName?.(text, name)
      if (value === undefined) return unnamed[operation]
      const key = `${operation} ${value}`
      const known = named.get(key) ?? bind(operation, value)
      named.set(key, known)
      return known
    }

    /** The values of all labels are from fixed sets, so the series are bounded without the cardinality limit. */
    function bind(operation: Operation, name: string | undefined): QuerySeries {
      const labels = name === undefined ? { operation, pool } : { operation, pool, query: name }
      const series = {
        queries: queries.reserve(labels),
        duration: duration.reserve(labels),
        slow: slow.reserve(labels),
      }
      const errorsOf = (sqlstate_class: string): CounterSeries => errors.reserve({ ...labels, sqlstate_class })
      // Other classes get their series when they occur: all of them would be 484 series, most of them at zero for ever.
      errorsOf('other')
      return {
        operation,
        count(seconds, error) {
          series.queries.inc()
          if (seconds !== undefined) {
            series.duration.observe(seconds)
            if (seconds > slowQuerySeconds) series.slow.inc()
          }
          if (error) errorsOf(sqlstateClass(error)).inc()
        },
      }
    }
  }

  /** The label `query` exists where it is asked for. */
  function withQuery<Definition extends { labelNames: readonly string[] }>(definition: Definition): Definition {
    if (queryName === undefined) return definition
    return { ...definition, labelNames: [...definition.labelNames, 'query'].sort() }
  }
}

function byKey<Key extends string, Value>(keys: readonly Key[], make: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>
}
