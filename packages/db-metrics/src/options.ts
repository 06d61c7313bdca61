/**
 * The options of db-metrics.
 *
 * @module
 */
import {
  checkBuckets,
  checkOptionNames,
  checkTimeout,
  InvalidOptionError,
  type OptionNames,
} from '@data20/metrics-core/plugin'
import type { PoolAdapter } from './adapter.ts'
import { definitions } from './metrics.ts'
import type { Mysql2Pool } from './mysql2/pool.ts'
import type { PgPool } from './pg/pool.ts'
import type { PostgresJsPool } from './postgres-js/pool.ts'

/**
 * The pools that can be observed, by driver. Declare your own here when you bring an adapter:
 * `declare module '@data20/db-metrics' { interface ObservablePools { mine: MyPool } }`.
 */
export interface ObservablePools {
  pg: PgPool
  mysql2: Mysql2Pool
  postgresJs: PostgresJsPool
}

export type ObservablePool = ObservablePools[keyof ObservablePools]

export interface DbMetricsOptions {
  /**
   * Pools to observe, by the value of the label `pool`. Pools of `@fastify/postgres` are found without it: the default
   * one is `default`, the others have the name under which they were registered.
   * @default {}
   */
  pools?: Readonly<Record<string, ObservablePool>>

  /**
   * Adapters for pools of other drivers. They are asked before those of pg, mysql2 and postgres.js.
   * @default []
   */
  adapters?: readonly PoolAdapter<never>[]

  /**
   * Bucket boundaries of `db_query_duration_seconds` and `db_connection_wait_seconds`, in seconds. A threshold that an
   * alert uses must be a boundary.
   * @default 0.001 0.005 0.01 0.05 0.1 0.5 1 5 10
   */
  buckets?: readonly number[]

  /**
   * Seconds. A query that takes longer counts in `db_slow_queries_total`. A cursor or a stream takes as long as its
   * reader.
   * @default 1
   */
  slowQuerySeconds?: number

  /**
   * Milliseconds for which a query that succeeded proves that the database is up. Without such a proof a scrape sends
   * `SELECT 1`; with 0 every scrape does.
   * @default 5000
   */
  upCheckMs?: number

  /**
   * Milliseconds within which that `SELECT 1` must be answered, connecting included. Keep it below `collectorTimeoutMs`
   * of metrics-core; otherwise a hanging database shows as a failed collector and a stale `db_up`.
   * @default 500
   */
  upTimeoutMs?: number
}

/** The options with their defaults. */
export type ResolvedOptions = Required<DbMetricsOptions>

const NAMES: OptionNames<DbMetricsOptions> = {
  pools: ['pool', 'databases', 'clients'],
  adapters: ['adapter', 'drivers'],
  buckets: ['histogramBuckets', 'durationBuckets'],
  slowQuerySeconds: ['slowQueryMs', 'slowThreshold'],
  upCheckMs: ['healthCheckMs', 'interval'],
  upTimeoutMs: ['timeout', 'timeoutMs'],
}

/** Resolves the defaults. Throws an `InvalidOptionError` for a value that cannot work. */
export function resolveOptions(options: DbMetricsOptions): ResolvedOptions {
  checkOptionNames('db-metrics', options, NAMES)
  const {
    pools = {},
    adapters = [],
    buckets = definitions.duration.buckets,
    slowQuerySeconds = 1,
    upCheckMs = 5000,
    upTimeoutMs = 500,
  } = options
  for (const adapter of adapters) checkAdapter(adapter)
  checkBuckets(buckets)
  if (!(slowQuerySeconds >= 0)) throw new InvalidOptionError('slowQuerySeconds', 'a number ≥ 0', slowQuerySeconds)
  if (!(upCheckMs >= 0)) throw new InvalidOptionError('upCheckMs', 'a number ≥ 0', upCheckMs)
  checkTimeout(upTimeoutMs, 'upTimeoutMs')
  return { pools, adapters, buckets, slowQuerySeconds, upCheckMs, upTimeoutMs }
}

function checkAdapter(adapter: unknown): void {
  const { kind, accepts, hasEnded, measure } = (adapter ?? {}) as Partial<PoolAdapter>
  if (typeof kind === 'string' && [accepts, hasEnded, measure].every((method) => typeof method === 'function')) return
  throw new InvalidOptionError('adapters', 'adapters with kind, accepts, hasEnded and measure', adapter)
}
