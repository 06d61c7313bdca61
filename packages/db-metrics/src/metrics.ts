/**
 * What db-metrics measures. Names and labels are public API.
 *
 * @module
 */
import type { LabelValues } from '@data20/metrics-core/plugin'

/** The values of the label `operation`. */
export const OPERATIONS = [
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'MERGE',
  'COPY',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT',
  'DDL',
  'OTHER',
] as const

/** The values of the label `outcome`. */
export const OUTCOMES = ['commit', 'rollback', 'lost'] as const

/** The values of the label `result`. */
export const RESULTS = ['acquired', 'timeout', 'error'] as const

export const definitions = {
  queries: {
    type: 'counter',
    name: 'db_queries_total',
    help: 'Queries that ended, failed ones included, by what they do and the pool of their connection.',
    labelNames: ['operation', 'pool'],
  },
  duration: {
    type: 'histogram',
    name: 'db_query_duration_seconds',
    help: 'Time from sending a query to its end, without the wait for a connection or for earlier queries of the connection.',
    labelNames: ['operation', 'pool'],
    unit: 'seconds',
    // OpenTelemetry's bounds for `db.client.operation.duration`.
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
  },
  slow: {
    type: 'counter',
    name: 'db_slow_queries_total',
    help: 'Queries that took longer than the option slowQuerySeconds.',
    labelNames: ['operation', 'pool'],
  },
  errors: {
    type: 'counter',
    name: 'db_query_errors_total',
    help: 'Queries that failed, by the class of their SQLSTATE (its first two characters); other where the server gave none.',
    labelNames: ['operation', 'pool', 'sqlstate_class'],
  },
  active: {
    type: 'gauge',
    name: 'db_connections_active',
    help: 'Connections of the pool that are in use or being made.',
    labelNames: ['pool'],
    aggregator: 'sum',
  },
  idle: {
    type: 'gauge',
    name: 'db_connections_idle',
    help: 'Connections of the pool that wait for work.',
    labelNames: ['pool'],
    aggregator: 'sum',
  },
  max: {
    type: 'gauge',
    name: 'db_connections_max',
    help: 'Connections that the pool may have.',
    labelNames: ['pool'],
    aggregator: 'sum',
  },
  waiting: {
    type: 'gauge',
    name: 'db_connections_waiting',
    help: 'Callers that wait for a connection of the pool.',
    labelNames: ['pool'],
    aggregator: 'sum',
  },
  wait: {
    type: 'histogram',
    name: 'db_connection_wait_seconds',
    help: 'Time from asking the pool for a connection to having it, or to the error.',
    labelNames: ['pool', 'result'],
    unit: 'seconds',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
  },
  timeouts: {
    type: 'counter',
    name: 'db_connection_timeouts_total',
    help: 'Callers that got no connection of the pool in time.',
    labelNames: ['pool'],
  },
  checkout: {
    type: 'histogram',
    name: 'db_connection_checkout_seconds',
    help: 'Time from having a connection of the pool to giving it back.',
    labelNames: ['pool'],
    unit: 'seconds',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60],
  },
  transactions: {
    type: 'counter',
    name: 'db_transactions_total',
    help: 'Transactions that began with BEGIN, by how the server ended them; lost where their connection ended first.',
    labelNames: ['outcome', 'pool'],
  },
  transactionDuration: {
    type: 'histogram',
    name: 'db_transaction_duration_seconds',
    help: 'Time from the answer to BEGIN to the end of the transaction.',
    labelNames: ['outcome', 'pool'],
    unit: 'seconds',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60],
  },
  idleInTransaction: {
    type: 'gauge',
    name: 'db_connections_idle_in_transaction',
    help: 'Connections of the pool in a transaction that runs no query.',
    labelNames: ['pool'],
    aggregator: 'sum',
  },
  up: {
    type: 'gauge',
    name: 'db_up',
    help: 'Whether the database of the pool answers: 1 or 0.',
    labelNames: ['pool'],
    aggregator: 'min',
  },
} as const

/** The values of labels that have a fixed set of them. */
export const labelValues: LabelValues = { operation: OPERATIONS, outcome: OUTCOMES, result: RESULTS }
