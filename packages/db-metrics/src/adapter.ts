/**
 * What db-metrics asks of a driver's pool. Each driver has an adapter; an application can bring its own.
 *
 * @module
 */
import type { CounterSeries, GaugeSeries, HistogramSeries } from '@data20/metrics-core'
import type { OUTCOMES, RESULTS } from './metrics.ts'
import type { Operation } from './operation.ts'

/** Measures the pools of one driver. */
export interface PoolAdapter<Pool = unknown> {
  /** What its pools are called in messages, such as `a pool of pg`. */
  readonly kind: string
  /** Returns true for a pool that it can measure. Gets any value. */
  accepts(value: unknown): boolean
  /** Returns true once the pool was ended. Its gauges disappear then, and its name is free. */
  hasEnded(pool: Pool): boolean
  /** Begins to measure a pool. What it sees it writes to `series`; what tells if the database is up, to `up`. */
  measure(pool: Pool, series: PoolSeries, up: UpSignals): MeasuredPool
}

/** A pool that is measured. */
export interface MeasuredPool {
  /** Sets the gauges of the connections. Called before each scrape, and must not wait for anything. */
  readConnections(): void
  /** Returns true when a caller would have to wait for a connection. The database is not asked then. */
  isSaturated(): boolean
  /**
   * Sends the database a question that is not counted. Rejects when there is no answer within the milliseconds given;
   * connecting may take longer.
   */
  ask(timeoutMs: number): Promise<void>
  /** Measures no further connections. Those that the pool has are measured until they end. */
  stop(): void
  /** Restores the pool and all of its connections. */
  restore(): void
}

/** What happens on a pool and says something about its database. */
export interface UpSignals {
  /** A query succeeded or a connection was made. */
  proven(): void
  /** Something failed that may be the database: the next read asks. */
  doubted(): void
  /** A connection could not be made. */
  refused(): void
}

/** The gauges of a pool's connections. */
export interface ConnectionSeries {
  active: GaugeSeries
  /** An adapter that cannot know it never sets it; the series exists from the first time. */
  idle: Pick<GaugeSeries, 'set'>
  max: GaugeSeries
  waiting: GaugeSeries
  idleInTransaction: GaugeSeries
}

/** The bound series of one pool. */
export interface PoolSeries extends ConnectionSeries {
  /**
   * Returns what counts a query, by its text and, where the driver has one, its name. Anything but a string is a query
   * whose text is not known.
   */
  query(text: unknown, name?: unknown): QuerySeries
  wait: Record<(typeof RESULTS)[number], HistogramSeries>
  timeouts: CounterSeries
  checkout: HistogramSeries
  transactions: Record<(typeof OUTCOMES)[number], TransactionSeries>
  up: GaugeSeries
  /** Removes the gauges. The counters and histograms stay: what was counted was counted. */
  remove(): void
}

/** The bound series of the queries that do the same. */
export interface QuerySeries {
  readonly operation: Operation
  /** Counts a query that has ended. Without an error it succeeded; without `seconds` it was never sent. */
  count(seconds: number | undefined, error: unknown): void
}

export interface TransactionSeries {
  count: CounterSeries
  duration: HistogramSeries
}
