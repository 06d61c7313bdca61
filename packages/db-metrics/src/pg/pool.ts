/**
 * What db-metrics uses of a pool of pg, and the gauges that a pool knows by itself.
 *
 * @module
 */
import type { ConnectionSeries } from '../adapter.ts'

/** The part of a `pg.Pool` that is used. Every version of pg 8 has it, native or not. */
export interface PgPool {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly ending?: boolean
  readonly options: { readonly max?: number | undefined; readonly onConnect?: unknown }
  connect(...args: never[]): unknown
  query(...args: never[]): unknown
  on(...args: never[]): unknown
  off(...args: never[]): unknown
}

/** Returns true for a pool of pg. A single connection, which has `connect` and `query` too, is none. */
export function isPgPool(value: unknown): value is PgPool {
  const { connect, totalCount } = (value ?? {}) as Partial<PgPool>
  return typeof connect === 'function' && typeof totalCount === 'number'
}

/** Returns true when a caller would have to wait for a connection. */
export function isSaturated({ totalCount, idleCount, waitingCount, options: { max = 10 } }: PgPool): boolean {
  return waitingCount > 0 || (idleCount === 0 && totalCount >= max)
}

/** Sets the gauges that a pool knows by itself. */
export function readConnections(pool: PgPool, series: ConnectionSeries): void {
  series.active.set(pool.totalCount - pool.idleCount)
  series.idle.set(pool.idleCount)
  series.waiting.set(pool.waitingCount)
  series.max.set(pool.options.max ?? 10)
}
