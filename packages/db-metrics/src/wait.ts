/**
 * The wait for a connection, the same for all drivers.
 *
 * @module
 */
import type { Method } from '@data20/metrics-core/plugin'
import type { PoolSeries } from './adapter.ts'

/** Observes a wait that has ended, by how it ended. */
export function observeWait(series: PoolSeries, startMs: number, error: unknown, isTimeout: boolean): void {
  const failed = isTimeout ? 'timeout' : 'error'
  series.wait[error ? failed : 'acquired'].observe((performance.now() - startMs) / 1000)
  if (error && isTimeout) series.timeouts.inc()
}

/** Knows the query for which a pool asks itself for a connection. Drivers ask before their method returns. */
export interface QueryOfPool {
  /** Wraps a method of the pool that sends a query. */
  watch(original: Method): Method
  /** Returns the query, once; undefined for a caller who asks for a connection only. */
  take(): unknown
}

export function createQueryOfPool(): QueryOfPool {
  let current: unknown
  return {
    watch: (original) =>
      function query(...args) {
        current = args[0]
        try {
          return original.apply(this, args)
        } finally {
          current = undefined
        }
      },
    take() {
      const query = current
      current = undefined
      return query
    },
  }
}
