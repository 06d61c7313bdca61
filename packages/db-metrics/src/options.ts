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
   * Names of queries, which give the metrics of queries the label `query`; any other query is `other`. The series of a
   * name exist from its first query on. The name of a query is that of its prepared statement with pg, or what
   * `queryNameOf` returns.
   * @default none, and no label
   */
  queryNames?: readonly string[]

  /**
   * Returns the name of a query from its text and, with pg, the name of its prepared statement. Called for each query.
   * Only names of `queryNames` count; an error counts as none.
   */
  queryNameOf?: (text: string, name: string | undefined) => string | undefined

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
export type ResolvedOptions = Required<Omit<DbMetricsOptions, 'queryNames' | 'queryNameOf'>> & {
  /** Returns the value of the label `query` if it is one of the names. Undefined where there is no such label. */
  queryName: ((text: unknown, name: unknown) => string | undefined) | undefined
}

const NAMES: OptionNames<DbMetricsOptions> = {
  pools: ['pool', 'databases', 'clients'],
  adapters: ['adapter', 'drivers'],
  buckets: ['histogramBuckets', 'durationBuckets'],
  slowQuerySeconds: ['slowQueryMs', 'slowThreshold'],
  queryNames: ['queries', 'statements'],
  queryNameOf: ['queryName', 'getQueryName'],
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
    queryNames,
    queryNameOf,
    upCheckMs = 5000,
    upTimeoutMs = 500,
  } = options
  for (const adapter of adapters) checkAdapter(adapter)
  checkBuckets(buckets)
  if (!(slowQuerySeconds >= 0)) throw new InvalidOptionError('slowQuerySeconds', 'a number ≥ 0', slowQuerySeconds)
  if (!(upCheckMs >= 0)) throw new InvalidOptionError('upCheckMs', 'a number ≥ 0', upCheckMs)
  checkTimeout(upTimeoutMs, 'upTimeoutMs')
  const queryName = resolveQueryName(queryNames, queryNameOf)
  return { pools, adapters, buckets, slowQuerySeconds, queryName, upCheckMs, upTimeoutMs }
}

function resolveQueryName(
  names: DbMetricsOptions['queryNames'],
  nameOf: DbMetricsOptions['queryNameOf'],
): ResolvedOptions['queryName'] {
  if (nameOf !== undefined && typeof nameOf !== 'function') {
    throw new InvalidOptionError('queryNameOf', 'a function', nameOf)
  }
  if (names === undefined) {
    if (nameOf !== undefined) throw new InvalidOptionError('queryNames', 'the names that queryNameOf returns', names)
    return undefined
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw new InvalidOptionError('queryNames', 'a list of names', names)
  }
  const known = new Set(names)
  return (text, name) => {
    const found = nameOf === undefined ? name : call(nameOf, text, name)
    return known.has(found as string) ? (found as string) : undefined
  }
}

/** A function of the application must not make its query fail. */
function call(nameOf: NonNullable<DbMetricsOptions['queryNameOf']>, text: unknown, name: unknown): unknown {
  try {
    return nameOf(typeof text === 'string' ? text : '', typeof name === 'string' ? name : undefined)
  } catch {
    return undefined
  }
}

function checkAdapter(adapter: unknown): void {
  const { kind, accepts, hasEnded, measure } = (adapter ?? {}) as Partial<PoolAdapter>
  if (typeof kind === 'string' && [accepts, hasEnded, measure].every((method) => typeof method === 'function')) return
  throw new InvalidOptionError('adapters', 'adapters with kind, accepts, hasEnded and measure', adapter)
}
