/**
 * Counts and times the transactions of one connection, which are never more than one at a time.
 *
 * @module
 */
import type { PoolSeries } from './adapter.ts'
import type { OUTCOMES } from './metrics.ts'

export interface Transaction {
  readonly isOpen: boolean
  /** Begins one, unless one is open. */
  begin(): void
  /** Counts the one that is open. */
  end(outcome: (typeof OUTCOMES)[number]): void
  /** Forgets the one that is open: what becomes of it cannot be known. */
  forget(): void
}

export function createTransaction(series: PoolSeries['transactions']): Transaction {
  let startMs: number | undefined
  return {
    get isOpen() {
      return startMs !== undefined
    },
    begin() {
      startMs ??= performance.now()
    },
    end(outcome) {
      if (startMs === undefined) return
      const { count, duration } = series[outcome]
      count.inc()
      duration.observe((performance.now() - startMs) / 1000)
      startMs = undefined
    },
    forget() {
      startMs = undefined
    },
  }
}
