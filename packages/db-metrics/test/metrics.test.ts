import t from 'tap'
import { definitions } from '../src/metrics.ts'
import { build, createPool, scrape } from './helpers.ts'

t.test('names, types, help texts and labels are public API', async (t) => {
  const app = await build(t, { pools: { main: createPool(t) } })

  const lines = (await scrape(app)).split('\n')

  t.strictSame(
    lines.filter((line) => /^# (HELP|TYPE) db_/.test(line)),
    [
      '# HELP db_queries_total Queries that ended, failed ones included, by what they do and the pool of their connection.',
      '# TYPE db_queries_total counter',
      '# HELP db_query_duration_seconds Time from sending a query to its end, without the wait for a connection or for earlier queries of the connection.',
      '# TYPE db_query_duration_seconds histogram',
      '# HELP db_slow_queries_total Queries that took longer than the option slowQuerySeconds.',
      '# TYPE db_slow_queries_total counter',
      '# HELP db_query_errors_total Queries that failed, by the class of their SQLSTATE (its first two characters); other where the server gave none.',
      '# TYPE db_query_errors_total counter',
      '# HELP db_connection_wait_seconds Time from asking the pool for a connection to having it, or to the error.',
      '# TYPE db_connection_wait_seconds histogram',
      '# HELP db_connection_timeouts_total Callers that got no connection of the pool in time.',
      '# TYPE db_connection_timeouts_total counter',
      '# HELP db_connection_checkout_seconds Time from having a connection of the pool to giving it back.',
      '# TYPE db_connection_checkout_seconds histogram',
      '# HELP db_transactions_total Transactions that began with BEGIN, by how the server ended them; lost where their connection ended first.',
      '# TYPE db_transactions_total counter',
      '# HELP db_transaction_duration_seconds Time from the answer to BEGIN to the end of the transaction.',
      '# TYPE db_transaction_duration_seconds histogram',
      '# HELP db_connections_active Connections of the pool that are in use or being made.',
      '# TYPE db_connections_active gauge',
      '# HELP db_connections_idle Connections of the pool that wait for work.',
      '# TYPE db_connections_idle gauge',
      '# HELP db_connections_max Connections that the pool may have.',
      '# TYPE db_connections_max gauge',
      '# HELP db_connections_waiting Callers that wait for a connection of the pool.',
      '# TYPE db_connections_waiting gauge',
      '# HELP db_connections_idle_in_transaction Connections of the pool in a transaction that runs no query.',
      '# TYPE db_connections_idle_in_transaction gauge',
      '# HELP db_up Whether the database of the pool answers: 1 or 0.',
      '# TYPE db_up gauge',
    ],
  )
  const operations = 'SELECT INSERT UPDATE DELETE MERGE COPY BEGIN COMMIT ROLLBACK SAVEPOINT DDL OTHER'.split(' ')
  const bounds = ['0.001', '0.005', '0.01', '0.05', '0.1', '0.5', '1.0', '5.0', '10.0', '+Inf']
  const longBounds = [...bounds.slice(0, -1), '60.0', '+Inf']
  const outcomes = ['commit', 'rollback', 'lost']
  const results = ['acquired', 'timeout', 'error']
  t.strictSame(
    lines.filter((line) => line.startsWith('db_') && !line.startsWith('db_query_duration_seconds')),
    [
      ...operations.map((operation) => `db_queries_total{operation="${operation}",pool="main"} 0`),
      ...operations.map((operation) => `db_slow_queries_total{operation="${operation}",pool="main"} 0`),
      ...operations.map(
        (operation) => `db_query_errors_total{operation="${operation}",pool="main",sqlstate_class="other"} 0`,
      ),
      ...results.flatMap((result) => histogram('db_connection_wait_seconds', `pool="main",result="${result}"`, bounds)),
      'db_connection_timeouts_total{pool="main"} 0',
      ...histogram('db_connection_checkout_seconds', 'pool="main"', longBounds),
      ...outcomes.map((outcome) => `db_transactions_total{outcome="${outcome}",pool="main"} 0`),
      ...outcomes.flatMap((outcome) =>
        histogram('db_transaction_duration_seconds', `outcome="${outcome}",pool="main"`, longBounds),
      ),
      'db_connections_active{pool="main"} 0',
      'db_connections_idle{pool="main"} 0',
      'db_connections_max{pool="main"} 10',
      'db_connections_waiting{pool="main"} 0',
      'db_connections_idle_in_transaction{pool="main"} 0',
      'db_up{pool="main"} 1',
    ],
    'every operation exists at zero, and asking whether the database is up counts nowhere',
  )
  t.strictSame(
    lines.filter((line) => line.startsWith('db_query_duration_seconds') && line.includes('SELECT')),
    histogram('db_query_duration_seconds', 'operation="SELECT",pool="main"', bounds),
  )
})

t.test('a database that one process of a cluster does not reach is down', async (t) => {
  t.equal(definitions.up.aggregator, 'min')
})

/** Returns the lines of a histogram that has observed nothing. */
function histogram(name: string, labels: string, bounds: string[]): string[] {
  return [
    ...bounds.map((bound) => `${name}_bucket{${labels},le="${bound}"} 0`),
    `${name}_sum{${labels}} 0`,
    `${name}_count{${labels}} 0`,
  ]
}
