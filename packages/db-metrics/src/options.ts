import type { ObservablePool } from './pool.ts'

export interface DbMetricsOptions {
  /**
   * Pools to observe, by the name that the label `pool` gets. Those of `@fastify/postgres` need no mention: the default
   * one is `default`, the others have the name that they were registered with.
   * @default {}
   */
  pools?: Readonly<Record<string, ObservablePool>>

  /**
   * Upper bounds of `db_query_duration_seconds` and `db_connection_wait_seconds`, in seconds. A threshold that somebody
   * is alerted on must be a bound.
   * @default 0.001 0.005 0.01 0.05 0.1 0.5 1 5 10
   */
  buckets?: readonly number[]

  /**
   * Seconds; a query that took longer counts in `db_slow_queries_total`. A cursor or a stream takes as long as somebody
   * reads from it.
   * @default 1
   */
  slowQuerySeconds?: number

  /**
   * Milliseconds for which a query that succeeded proves that the database is up. A scrape that finds no such proof asks
   * with `SELECT 1`; 0 asks at each scrape.
   * @default 5000
   */
  upCheckMs?: number

  /**
   * Milliseconds in which that `SELECT 1` has to be answered, the connection included. Keep it below `collectorTimeoutMs`
   * of metrics-core, else a hanging database shows as a failed collector and an old `db_up`.
   * @default 500
   */
  upTimeoutMs?: number
}
