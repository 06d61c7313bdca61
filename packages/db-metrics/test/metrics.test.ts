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
      '# HELP db_query_duration_seconds Time from sending a query to its end, without the wait for a connection.',
      '# TYPE db_query_duration_seconds histogram',
      '# HELP db_slow_queries_total Queries that took longer than the option slowQuerySeconds.',
      '# TYPE db_slow_queries_total counter',
      '# HELP db_query_errors_total Queries that failed, by the class of their SQLSTATE (its first two characters); other where the server gave none.',
      '# TYPE db_query_errors_total counter',
      '# HELP db_connections_active Connections of the pool that are in use or being made.',
      '# TYPE db_connections_active gauge',
      '# HELP db_connections_idle Connections of the pool that wait for work.',
      '# TYPE db_connections_idle gauge',
      '# HELP db_connections_max Connections that the pool may have.',
      '# TYPE db_connections_max gauge',
      '# HELP db_connections_waiting Callers that wait for a connection of the pool.',
      '# TYPE db_connections_waiting gauge',
      '# HELP db_connection_wait_seconds Time from asking the pool for a connection to having it.',
      '# TYPE db_connection_wait_seconds histogram',
      '# HELP db_up Whether the database of the pool answers: 1 or 0.',
      '# TYPE db_up gauge',
    ],
  )
  const operations = 'SELECT INSERT UPDATE DELETE MERGE COPY BEGIN COMMIT ROLLBACK DDL OTHER'.split(' ')
  const bounds = ['0.001', '0.005', '0.01', '0.05', '0.1', '0.5', '1.0', '5.0', '10.0', '+Inf']
  t.strictSame(
    lines.filter((line) => line.startsWith('db_') && !line.startsWith('db_query_duration_seconds')),
    [
      ...operations.map((operation) => `db_queries_total{operation="${operation}",pool="main"} 0`),
      ...operations.map((operation) => `db_slow_queries_total{operation="${operation}",pool="main"} 0`),
      ...operations.map(
        (operation) => `db_query_errors_total{operation="${operation}",pool="main",sqlstate_class="other"} 0`,
      ),
      'db_connections_active{pool="main"} 0',
      'db_connections_idle{pool="main"} 0',
      'db_connections_max{pool="main"} 10',
      'db_connections_waiting{pool="main"} 0',
      ...bounds.map((bound) => `db_connection_wait_seconds_bucket{pool="main",le="${bound}"} 0`),
      'db_connection_wait_seconds_sum{pool="main"} 0',
      'db_connection_wait_seconds_count{pool="main"} 0',
      'db_up{pool="main"} 1',
    ],
    'every operation exists at zero, and asking whether the database is up counts nowhere',
  )
  t.strictSame(
    lines.filter((line) => line.startsWith('db_query_duration_seconds') && line.includes('SELECT')),
    [
      ...bounds.map((bound) => `db_query_duration_seconds_bucket{operation="SELECT",pool="main",le="${bound}"} 0`),
      'db_query_duration_seconds_sum{operation="SELECT",pool="main"} 0',
      'db_query_duration_seconds_count{operation="SELECT",pool="main"} 0',
    ],
  )
})

t.test('a database that one process of a cluster does not reach is down', async (t) => {
  t.equal(definitions.up.aggregator, 'min')
})
