/**
 * PostgreSQL from the side of the application: queries, errors, and the connections of each pool.
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { JOB, TARGET, WINDOW } from './panel.ts'
import { poolSaturation, poolSaturationQuery } from './shared.ts'

export const db: Dashboard = {
  uid: 'db',
  title: 'Database',
  description: 'Queries by what they do, how long they take and how they fail; the connections of each pool.',
  metric: 'db_up',
  rows: [
    {
      title: 'Queries',
      panels: [
        {
          title: 'Queries by operation',
          description: 'Queries that ended per second, failed ones included.',
          unit: 'ops',
          isStacked: true,
          queries: [
            { expression: `sum by (operation) (rate(db_queries_total{${TARGET}}${WINDOW}))`, legend: '{{operation}}' },
          ],
        },
        {
          title: 'P95 by operation',
          description: '95 of 100 queries took less than this, without the wait for a connection.',
          unit: 's',
          queries: [
            {
              expression: `histogram_quantile(0.95, sum by (le, operation) (rate(db_query_duration_seconds_bucket{${TARGET}}${WINDOW})))`,
              legend: '{{operation}}',
            },
          ],
        },
        {
          title: 'Slow queries',
          description: 'Queries per second that took longer than a second, or than the option `slowQuerySeconds` says.',
          unit: 'ops',
          threshold: 0.1,
          alert: 'DbSlowQueries',
          queries: [{ expression: `job_pool:db_slow_queries:rate5m{${JOB}}`, legend: '{{job}} {{pool}}' }],
        },
      ],
    },
    {
      title: 'Errors',
      panels: [
        {
          kind: 'stat',
          title: 'Database answers',
          description: '1 where the database answers, 0 where it does not.',
          unit: 'none',
          threshold: 0.5,
          isLowBad: true,
          alert: 'DbDown',
          queries: [{ expression: `min by (pool) (db_up{${TARGET}})`, legend: '{{pool}}' }],
        },
        {
          title: 'Failed queries by class',
          description:
            'Per second, by the class of their SQLSTATE: 08 connection, 23 constraint, 40 rollback, 53 resources, 57 operator.',
          unit: 'ops',
          queries: [
            {
              expression: `sum by (sqlstate_class) (rate(db_query_errors_total{${TARGET}}${WINDOW}))`,
              legend: '{{sqlstate_class}}',
            },
          ],
        },
        {
          title: 'Share of queries that fail',
          description: 'Failed queries over all queries.',
          unit: 'percentunit',
          queries: [
            {
              expression: `sum by (pool) (rate(db_query_errors_total{${TARGET}}${WINDOW})) / sum by (pool) (rate(db_queries_total{${TARGET}}${WINDOW}))`,
              legend: '{{pool}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Connections',
      panels: [
        {
          title: 'Connections in use',
          description: 'In use or being made, those that wait for work, and how many there may be.',
          unit: 'none',
          queries: [
            { expression: `sum by (pool) (db_connections_active{${TARGET}})`, legend: '{{pool}} active' },
            { expression: `sum by (pool) (db_connections_idle{${TARGET}})`, legend: '{{pool}} idle' },
            { expression: `sum by (pool) (db_connections_max{${TARGET}})`, legend: '{{pool}} max' },
          ],
        },
        {
          title: 'Use of the limit',
          description: 'Connections in use over the limit of the pool.',
          ...poolSaturation,
          queries: [poolSaturationQuery()],
        },
        {
          title: 'Callers waiting',
          description:
            'Callers that wait for a connection. More than none for minutes: the pool is too small or queries are too slow.',
          unit: 'none',
          alert: 'DbCallersWaiting',
          queries: [{ expression: `db_connections_waiting{${TARGET}}`, legend: '{{pool}} {{instance}}' }],
        },
        {
          title: 'Wait for a connection',
          description: '95 of 100 callers had a connection, or an error, within this time.',
          unit: 's',
          queries: [
            {
              expression: `histogram_quantile(0.95, sum by (le, pool) (rate(db_connection_wait_seconds_bucket{${TARGET}}${WINDOW})))`,
              legend: '{{pool}}',
            },
          ],
        },
        {
          title: 'Callers without a connection',
          description: 'Callers per second that got no connection: in time, or at all.',
          unit: 'ops',
          queries: [
            {
              expression: `sum by (pool, result) (rate(db_connection_wait_seconds_count{${TARGET},result!="acquired"}${WINDOW}))`,
              legend: '{{pool}} {{result}}',
            },
          ],
        },
        {
          title: 'Transactions',
          description: 'Transactions per second by what the server made of them.',
          unit: 'ops',
          queries: [
            {
              expression: `sum by (pool, outcome) (rate(db_transactions_total{${TARGET}}${WINDOW}))`,
              legend: '{{pool}} {{outcome}}',
            },
          ],
        },
        {
          title: 'Idle in a transaction',
          description:
            'Connections in a transaction that runs no query. They hold locks and keep old rows from being removed.',
          unit: 'none',
          queries: [
            {
              expression: `sum by (pool) (db_connections_idle_in_transaction{${TARGET}})`,
              legend: '{{pool}}',
            },
          ],
        },
      ],
    },
  ],
}
