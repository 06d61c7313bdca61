import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readValue, type Service, startPostgres, temporaryFolder, until } from '@data20/dev-services'
import fastifyPostgres from '@fastify/postgres'
import Fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import t, { type Test } from 'tap'
import { type DbMetricsOptions, dbMetrics } from '../src/index.ts'

const TIMES = 1000

async function start(t: Test): Promise<Service> {
  const server = await startPostgres({ directory: temporaryFolder(t, 'db-metrics'), durable: false })
  t.teardown(() => server.stop())
  return server
}

const server = await start(t)
const { url: connectionString } = server

function createPool(t: Test, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, ...options })
  t.teardown(() => (pool.ended ? undefined : pool.end()))
  return pool
}

async function build(t: Test, options: DbMetricsOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(dbMetrics, options)
  return app
}

async function scrape(app: FastifyInstance): Promise<string> {
  const response = await app.inject('/metrics')
  return response.body
}

/** The series of a metric that are not at zero, as text. */
function nonZero(text: string, metric: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${metric}{`) && !line.endsWith(' 0'))
}

/** What was counted, by operation, of one pool. */
function countsOf(text: string, pool = 'main'): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of nonZero(text, 'db_queries_total')) {
    const [, operation, name, value] = /operation="(\w+)",pool="(\w+)"} (\d+)/.exec(line)!
    if (name === pool) counts[operation!] = Number(value)
  }
  return counts
}

async function repeat(run: (index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; index < TIMES; index += 1) await run(index)
}

/** The same, several at a time. */
async function repeatAtOnce(width: number, run: () => Promise<unknown>): Promise<void> {
  let left = TIMES
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (left-- > 0) await run()
    }),
  )
}

/** Calls with a callback and checks that nothing is returned, as pg does it. */
function called(t: Test, call: (callback: (error: unknown, result: unknown) => void) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const returned = call((error, result) => (error ? reject(error) : resolve(result)))
    if (returned !== undefined) t.fail('a call with a callback returned something')
  })
}

async function rejectsWith(t: Test, promise: Promise<unknown>, code: string): Promise<void> {
  const outcome = await promise.then(
    () => 'fulfilled',
    (error) => error.code,
  )
  if (outcome !== code) t.equal(outcome, code)
}

t.before(async () => {
  const client = new pg.Client(server.url)
  await client.connect()
  await client.query('CREATE TABLE notes (id serial PRIMARY KEY, name text UNIQUE)')
  await client.end()
})

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

t.test('1,000 queries in each way of querying are 1,000 queries', async (t) => {
  type Way = (pool: pg.Pool, client: pg.PoolClient, t: Test) => (index: number) => Promise<unknown>
  const ways: Record<string, { operations: string[]; run: Way }> = {
    'pool.query, a promise, behind comments': {
      operations: ['SELECT'],
      run: (pool) => () => pool.query('-- UPDATE\n/* DELETE /* INSERT */ */ SELECT $1::int', [1]),
    },
    'pool.query(text, callback)': {
      operations: ['SELECT'],
      run: (pool, _client, t) => () => called(t, (callback) => pool.query('SELECT 1', callback)),
    },
    'pool.query(text, values, callback)': {
      operations: ['SELECT'],
      run: (pool, _client, t) => () => called(t, (callback) => pool.query('SELECT $1', ['a'], callback)),
    },
    'pool.query(stream)': {
      operations: ['SELECT'],
      run: (pool) => async () => {
        const stream = new QueryStream('SELECT * FROM generate_series(1, 3)', [], { batchSize: 2 })
        pool.query(stream)
        let rows = 0
        for await (const _row of stream) rows += 1
        return rows
      },
    },
    'client.query, a promise, WITH … INSERT': {
      operations: ['INSERT'],
      run: (_pool, client) => () =>
        client.query('WITH a AS (SELECT 1 FROM notes) INSERT INTO notes (name) SELECT NULL RETURNING id'),
    },
    'client.query(text, callback)': {
      operations: ['UPDATE'],
      run: (_pool, client, t) => () =>
        called(t, (callback) => client.query('UPDATE notes SET id = id WHERE id < 0', callback)),
    },
    'client.query(text, values, callback)': {
      operations: ['DELETE'],
      run: (_pool, client, t) => () =>
        called(t, (callback) => client.query('DELETE FROM notes WHERE id = $1', [-1], callback)),
    },
    'client.query(config)': {
      operations: ['SELECT'],
      run: (_pool, client) => () => client.query({ text: 'SELECT $1::int', values: [1], rowMode: 'array' }),
    },
    'client.query(config, values)': {
      operations: ['SELECT'],
      run: (_pool, client) => () => client.query({ text: 'SELECT $1::int' }, [1]),
    },
    'client.query(config with a callback)': {
      operations: ['SELECT'],
      run: (_pool, client, t) => {
        const config = { text: 'SELECT $1::int', values: [1], callback: (_error: unknown) => {} }
        return () =>
          called(t, (callback) => {
            config.callback = callback as never
            return client.query(config)
          })
      },
    },
    'a prepared query': {
      operations: ['SELECT'],
      run: (_pool, client) => () =>
        client.query({ name: 'note', text: 'SELECT * FROM notes WHERE id = $1', values: [1] }),
    },
    'a pg.Query': {
      operations: ['SELECT'],
      run: (_pool, client) => () => {
        const query = client.query(new pg.Query('SELECT 1', []))
        return once(query, 'end')
      },
    },
    'a cursor that is read three times': {
      operations: ['SELECT'],
      run: (_pool, client) => async () => {
        const cursor = client.query(new Cursor('SELECT * FROM generate_series(1, 5)'))
        for (const expected of [2, 2, 1]) {
          const rows = await cursor.read(2)
          if (rows.length !== expected) throw new Error(`Expected ${expected} rows, got ${rows.length}`)
        }
        await cursor.close()
      },
    },
    'a cursor that is closed early': {
      operations: ['SELECT'],
      run: (_pool, client) => async () => {
        const cursor = client.query(new Cursor('SELECT * FROM generate_series(1, 5)'))
        await cursor.read(1)
        await cursor.close()
      },
    },
    'a stream': {
      operations: ['SELECT'],
      run: (_pool, client) => async () => {
        const rows = client.query(new QueryStream('SELECT * FROM generate_series(1, 5)', [], { batchSize: 2 }))
        let count = 0
        for await (const _row of rows) count += 1
        if (count !== 5) throw new Error(`Expected 5 rows, got ${count}`)
      },
    },
    'a transaction': {
      operations: ['BEGIN', 'INSERT', 'COMMIT'],
      run: (_pool, client) => async () => {
        await client.query('BEGIN')
        await client.query('INSERT INTO notes (name) VALUES (NULL)')
        await client.query('COMMIT')
      },
    },
    'queries that wait for each other on one connection': {
      operations: ['SELECT'],
      run: (pool) => () => pool.query('SELECT 1'),
    },
  }

  for (const [name, { operations, run }] of Object.entries(ways)) {
    await t.test(name, async (t) => {
      const pool = createPool(t, { max: 3 })
      const app = await build(t, { pools: { main: pool } })
      const client = await pool.connect()
      t.teardown(() => client.release())

      const once = run(pool, client, t)
      if (name.startsWith('queries that wait'))
        await Promise.all(Array.from({ length: TIMES }, (_, index) => once(index)))
      else await repeat(once)

      const text = await scrape(app)
      t.strictSame(countsOf(text), Object.fromEntries(operations.map((operation) => [operation, TIMES])))
      for (const operation of operations) {
        t.equal(readValue(text, `db_query_duration_seconds_count{operation="${operation}",pool="main"}`), TIMES)
      }
      t.strictSame(nonZero(text, 'db_query_errors_total'), [])
    })
  }
})

t.test('1,000 failing queries in each way are 1,000 queries and 1,000 errors of their class', async (t) => {
  let isCallback = true
  const ways: Record<
    string,
    { sqlstate: string; run(pool: pg.Pool, client: pg.PoolClient, t: Test): Promise<unknown> }
  > = {
    'pool.query, promises and callbacks by turns': {
      sqlstate: '22012',
      run: async (pool, _client, t) => {
        // pg-pool ends a connection whose query failed, so most of the time goes to making new ones.
        isCallback = !isCallback
        if (!isCallback) await pool.query('SELECT 1/0')
        else await called(t, (callback) => pool.query('SELECT $1::int / 0', [1], callback))
      },
    },
    'client.query, a promise': { sqlstate: '42601', run: (_pool, client) => client.query('SELECT SELECT') },
    'client.query, a callback': {
      sqlstate: '22P02',
      run: (_pool, client, t) => called(t, (callback) => client.query('SELECT $1::int', ['a'], callback)),
    },
    'a cursor': {
      sqlstate: '22012',
      run: async (_pool, client) => client.query(new Cursor('SELECT 1/0')).read(1),
    },
    'a stream': {
      sqlstate: '42703',
      run: async (_pool, client) => {
        for await (const _row of client.query(new QueryStream('SELECT nothing'))) {
        }
      },
    },
    'a pg.Query': {
      sqlstate: '42703',
      run: (_pool, client) => once(client.query(new pg.Query('SELECT nothing', [])), 'end'),
    },
  }
  for (const [name, { sqlstate, run }] of Object.entries(ways)) {
    await t.test(name, async (t) => {
      const pool = createPool(t)
      const app = await build(t, { pools: { main: pool } })
      const held = await pool.connect()
      t.teardown(() => held.release())

      if (name.startsWith('pool')) await repeatAtOnce(8, () => rejectsWith(t, run(pool, held, t), sqlstate))
      else await repeat(() => rejectsWith(t, run(pool, held, t), sqlstate))

      const text = await scrape(app)
      t.strictSame(countsOf(text), { SELECT: TIMES })
      t.strictSame(nonZero(text, 'db_query_errors_total'), [
        `db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="${sqlstate.slice(0, 2)}"} ${TIMES}`,
      ])
    })
  }

  await t.test('a value that cannot be sent, for which pg calls the callback twice, is one query', async (t) => {
    const pool = createPool(t)
    const app = await build(t, { pools: { main: pool } })
    const client = await pool.connect()
    t.teardown(() => client.release())
    const value = {
      toPostgres(): never {
        throw new Error('not today')
      },
    }
    const outcomes: unknown[] = []

    client.query('SELECT $1', [value], (error) => outcomes.push(error?.message))
    await client.query('SELECT 1')

    t.equal(outcomes[0], 'not today')
    t.equal(outcomes.length, 2, 'should pg call it once, this test is no longer needed')
    const text = await scrape(app)
    t.strictSame(countsOf(text), { SELECT: 2 })
    t.equal(readValue(text, 'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="other"}'), 1)
  })

  await t.test('a query that never got a connection', async (t) => {
    const pool = createPool(t, { connectionString: 'postgres://postgres@127.0.0.1:1/postgres' })
    const app = await build(t, { pools: { main: pool } })

    await repeat(() => rejectsWith(t, pool.query('UPDATE notes SET name = NULL'), 'ECONNREFUSED'))
    await rejectsWith(t, pool.connect(), 'ECONNREFUSED')

    const text = await scrape(app)
    t.strictSame(countsOf(text), { UPDATE: TIMES }, 'asking for a connection is no query')
    t.strictSame(nonZero(text, 'db_query_errors_total'), [
      `db_query_errors_total{operation="UPDATE",pool="main",sqlstate_class="other"} ${TIMES}`,
    ])
    t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main"}'), 0)
    t.equal(readValue(text, 'db_up{pool="main"}'), 0)
  })
})

t.test('the pools of @fastify/postgres are measured, registered before or after', async (t) => {
  for (const order of ['before', 'after']) {
    await t.test(order, async (t) => {
      const app = Fastify()
      t.teardown(() => app.close())
      const registerPostgres = async () => {
        await app.register(fastifyPostgres, { connectionString, max: 3 })
        await app.register(fastifyPostgres, { connectionString, name: 'reports', max: 3 })
      }
      if (order === 'before') await registerPostgres()
      await app.register(dbMetrics)
      if (order === 'after') await registerPostgres()
      app.get('/transact', { pg: { transact: true } }, async (request) => {
        await request.pg!.query('SELECT 1')
        return 'ok'
      })
      await app.ready()

      await repeat(() => app.pg.query('SELECT $1::int', [1]))
      await repeat(() => called(t, (callback) => app.pg.query('SELECT 1', callback)))
      await repeat(async () => {
        const client = await app.pg.connect()
        await client.query('DELETE FROM notes WHERE id < 0')
        client.release()
      })
      await repeat(
        () =>
          new Promise<void>((resolve, reject) => {
            app.pg.connect((error, client, release) => {
              if (error) return reject(error)
              client!.query('UPDATE notes SET id = id WHERE id < 0', (error) => {
                release()
                if (error) reject(error)
                else resolve()
              })
            })
          }),
      )
      await repeat(() => app.pg.transact((client) => client.query('INSERT INTO notes (name) VALUES (NULL)')))
      await repeat(() =>
        called(t, (callback) =>
          app.pg.transact((client) => client.query('INSERT INTO notes (name) VALUES (NULL)'), callback),
        ),
      )
      await repeat(() =>
        rejectsWith(
          t,
          app.pg.transact((client) => client.query('SELECT 1/0')),
          '22012',
        ),
      )
      await repeat(() => app.inject('/transact'))
      await repeat(() => app.pg.reports!.query('COPY (SELECT 1) TO STDOUT'))
      await repeat(() => app.pg.reports!.pool.query('SELECT 1'))

      const text = await scrape(app)
      t.strictSame(countsOf(text, 'default'), {
        SELECT: 4 * TIMES,
        INSERT: 2 * TIMES,
        UPDATE: TIMES,
        DELETE: TIMES,
        BEGIN: 4 * TIMES,
        COMMIT: 3 * TIMES,
        ROLLBACK: TIMES,
      })
      t.strictSame(countsOf(text, 'reports'), { COPY: TIMES, SELECT: TIMES })
      t.strictSame(nonZero(text, 'db_query_errors_total'), [
        `db_query_errors_total{operation="SELECT",pool="default",sqlstate_class="22"} ${TIMES}`,
      ])
      t.equal(
        readValue(text, 'db_connection_wait_seconds_count{pool="default"}'),
        8 * TIMES,
        'app.pg.connect waits too',
      )
      t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="reports"}'), 2 * TIMES)
    })
  }

  await t.test('a query of app.pg that never got a connection counts', async (t) => {
    const app = await build(t)
    await app.register(fastifyPostgres, { connectionString: 'postgres://postgres@127.0.0.1:1/postgres' })
    await app.ready()

    await rejectsWith(t, app.pg.query('SELECT 1'), 'ECONNREFUSED')

    t.strictSame(countsOf(await scrape(app), 'default'), { SELECT: 1 })
  })
})

t.test('connections that the pool had before it was observed, and its set-up queries, are measured', async (t) => {
  const pool = createPool(t, {
    max: 2,
    onConnect: async (client) => void (await client.query('SET search_path = public')),
  })
  await pool.query('SELECT 1')
  pool.on('connect', (client) => void client.query('SET lock_timeout = 0'))
  const app = await build(t, { pools: { main: pool } })

  await Promise.all([pool.query('SELECT pg_sleep(0.05)'), pool.query('SELECT pg_sleep(0.05)')])

  t.strictSame(countsOf(await scrape(app)), { SELECT: 2, OTHER: 2 })
})

t.test('a query is slow above the threshold, and its time is the truth', async (t) => {
  const pool = createPool(t)
  const app = await build(t, { pools: { main: pool }, slowQuerySeconds: 0.2, buckets: [0.1, 10] })

  const startMs = performance.now()
  await pool.query('SELECT pg_sleep(0.3)')
  await pool.query('SELECT pg_sleep(0.01)')
  const elapsedSeconds = (performance.now() - startMs) / 1000

  const text = await scrape(app)
  t.equal(readValue(text, 'db_slow_queries_total{operation="SELECT",pool="main"}'), 1)
  const series = (le: string) => `db_query_duration_seconds_bucket{operation="SELECT",pool="main",le="${le}"}`
  t.strictSame(
    [series('0.1'), series('10.0'), series('+Inf')].map((name) => readValue(text, name)),
    [1, 2, 2],
  )
  const seconds = readValue(text, 'db_query_duration_seconds_sum{operation="SELECT",pool="main"}')!
  t.ok(seconds >= 0.31 && seconds <= elapsedSeconds, `0.31 s of sleep, ${elapsedSeconds} in all, show as ${seconds}`)
})

t.test('connections are those that pg_stat_activity has', async (t) => {
  const pool = createPool(t, { max: 7, application_name: 'gauges' })
  const app = await build(t, { pools: { main: pool } })
  const inspector = createPool(t)
  const clients = await Promise.all(Array.from({ length: 5 }, () => pool.connect()))
  for (const client of clients.splice(3)) client.release()
  const running = Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.5)')))
  await sleep(100)

  const text = await scrape(app)
  const { rows } = await inspector.query(
    `SELECT count(*)::int AS count, count(*) FILTER (WHERE query LIKE '%pg_sleep%' AND state = 'active')::int AS busy
     FROM pg_stat_activity WHERE application_name = 'gauges'`,
  )

  t.strictSame(rows, [{ count: 5, busy: 3 }])
  t.equal(readValue(text, 'db_connections_active{pool="main"}'), 3)
  t.equal(readValue(text, 'db_connections_idle{pool="main"}'), 2)
  t.equal(readValue(text, 'db_connections_max{pool="main"}'), 7)
  t.equal(readValue(text, 'db_connections_waiting{pool="main"}'), 0)
  await running
  for (const client of clients) client.release()
})

t.test('10 callers of a pool of 2 show as waiting, with the time that they wait', async (t) => {
  const pool = createPool(t, { max: 2 })
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0 })
  await Promise.all([pool.query('SELECT 1'), pool.query('SELECT 1')])
  const before = readValue(await scrape(app), 'db_connection_wait_seconds_sum{pool="main"}')!
  let truth = 0

  const callers = Promise.all(
    Array.from({ length: 10 }, async () => {
      const startMs = performance.now()
      const client = await pool.connect()
      truth += (performance.now() - startMs) / 1000
      await client.query('SELECT pg_sleep(0.2)')
      client.release()
    }),
  )
  await sleep(100)
  const startMs = performance.now()
  const during = await scrape(app)
  const scrapeMs = performance.now() - startMs
  await callers

  t.equal(readValue(during, 'db_connections_waiting{pool="main"}'), 8)
  t.equal(readValue(during, 'db_connections_active{pool="main"}'), 2)
  t.equal(readValue(during, 'db_up{pool="main"}'), 1)
  t.ok(scrapeMs < 90, `a scrape does not queue behind the callers: ${scrapeMs.toFixed()} ms`)
  const after = await scrape(app)
  const waited = readValue(after, 'db_connection_wait_seconds_sum{pool="main"}')! - before
  t.ok(truth > 4, `the callers waited ${truth} s, eight of them at least 0.2 s`)
  t.ok(Math.abs(waited - truth) < truth * 0.1, `${waited} s of ${truth} s`)
  t.equal(readValue(after, 'db_connection_wait_seconds_count{pool="main"}'), 12)
})

t.test('a caller who waits too long is an error that says nothing about the database', async (t) => {
  const pool = createPool(t, { max: 1, connectionTimeoutMillis: 1000 })
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0 })
  const client = await pool.connect()

  await t.rejects(pool.query('SELECT 1'), { message: 'timeout exceeded when trying to connect' })

  const text = await scrape(app)
  t.strictSame(nonZero(text, 'db_query_errors_total'), [
    'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="other"} 1',
  ])
  t.equal(readValue(text, 'db_up{pool="main"}'), 1)
  client.release()
})

t.test('asking whether the database is up leaves no trace', async (t) => {
  const pool = createPool(t, { application_name: 'quiet' })
  const inspector = createPool(t)
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0 })

  const first = await scrape(app)
  const second = await scrape(app)

  t.equal(readValue(first, 'db_up{pool="main"}'), 1)
  t.strictSame(countsOf(second), {})
  t.equal(readValue(second, 'db_connection_wait_seconds_count{pool="main"}'), 0)
  t.equal(readValue(second, 'db_connections_active{pool="main"}'), 0)
  t.equal(pool.totalCount, 0, 'an idle connection of ours could break, and the pool would emit an error')
  await sleep(50)
  const text = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'quiet'`
  t.strictSame((await inspector.query(text)).rows, [{ count: 0 }])

  await pool.query('SELECT 1')
  await scrape(app)
  t.equal(pool.idleCount, 1, 'a connection of the application stays')
})

t.test('db_up is 0 while the server is killed and 1 after its restart; no counter goes down', async (t) => {
  const mortal = await start(t)
  const app = await build(t)
  await app.register(fastifyPostgres, { connectionString: mortal.url, max: 3 })
  const poolErrors: Error[] = []
  await app.ready()
  app.pg.pool.on('error', (error) => poolErrors.push(error))
  let isRunning = true
  const traffic = (async () => {
    while (isRunning) {
      await app.pg.query('SELECT 1').catch(() => {})
      await sleep(5)
    }
  })()
  t.teardown(() => {
    isRunning = false
  })
  let counters = new Map<string, number>()
  let longestMs = 0

  async function observe(): Promise<number | undefined> {
    const startMs = performance.now()
    const text = await scrape(app)
    longestMs = Math.max(longestMs, performance.now() - startMs)
    const now = new Map(
      [...text.matchAll(/^(db_\w+(?:_total|_count|_bucket)\{.*\}) (\d+)$/gm)].map(([, name, value]) => [
        name!,
        Number(value),
      ]),
    )
    for (const [name, value] of counters) {
      if (!(now.get(name)! >= value)) t.fail(`${name} went from ${value} to ${now.get(name)}`)
    }
    counters = now
    return readValue(text, 'db_up{pool="default"}')
  }
  async function becomes(value: number): Promise<void> {
    await until(`db_up to be ${value}`, async () => (await observe()) === value)
  }

  await becomes(1)
  for (let round = 0; round < 2; round += 1) {
    await mortal.kill()
    await becomes(0)
    t.equal(await observe(), 0, 'and it stays')
    await mortal.restart()
    await becomes(1)
  }

  isRunning = false
  await traffic
  t.ok(longestMs < 2000, `the longest scrape took ${longestMs.toFixed()} ms`)
  const refused = counters.get('db_query_errors_total{operation="SELECT",pool="default",sqlstate_class="other"}')!
  t.ok(refused > 0, `${refused} queries were refused`)
})

t.test('without traffic too, db_up follows a killed and restarted server', async (t) => {
  const mortal = await start(t)
  const pool = createPool(t, { connectionString: mortal.url })
  pool.on('error', () => {})
  const app = await build(t, { pools: { main: pool } })
  await pool.query('SELECT 1')
  t.equal(readValue(await scrape(app), 'db_up{pool="main"}'), 1)

  await mortal.kill()
  await sleep(50)
  t.equal(readValue(await scrape(app), 'db_up{pool="main"}'), 0, 'a connection that broke is a reason to ask')

  await mortal.restart()
  t.equal(readValue(await scrape(app), 'db_up{pool="main"}'), 1)
})

t.test('a database that accepts and never answers is down, and is asked by one connection only', async (t) => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket.on('error', () => {})))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const { port } = silent.address() as { port: number }
  const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', password: 'x' })
  const app = await build(t, { pools: { main: pool }, upTimeoutMs: 200 })

  for (let round = 0; round < 3; round += 1) {
    const startMs = performance.now()
    const text = await scrape(app)
    t.equal(readValue(text, 'db_up{pool="main"}'), 0)
    t.equal(readValue(text, 'metrics_collector_success{collector="db_main"}'), 1)
    t.ok(performance.now() - startMs < 2000)
  }
  t.equal(sockets.length, 1)
  for (const socket of sockets) socket.destroy()
})

t.test('results, errors, this and returned objects are those of pg', async (t) => {
  const pool = createPool(t, { max: 1 })
  await build(t, { pools: { main: pool } })
  const client = await pool.connect()
  t.teardown(() => client.release())

  const cursor = new Cursor('SELECT 1 AS a')
  const ownKeys = Object.keys(cursor)
  t.equal(client.query(cursor), cursor)
  t.strictSame(Object.keys(cursor), ownKeys, 'a cursor looks as before')
  t.strictSame(await cursor.read(5), [{ a: 1 }])
  await cursor.close()
  t.notOk(Object.hasOwn(cursor, 'handleError') || Object.hasOwn(cursor, 'handleReadyForQuery'))
  t.strictSame((await client.query('SELECT 1 AS a')).rows, [{ a: 1 }])
  t.ok(client.query('SELECT 1') instanceof Promise)
  t.throws(() => client.query(null as never), { message: 'Client was passed a null or undefined query' })

  const error = await client.query('SELECT nothing').catch((error) => error)
  t.ok(error instanceof pg.DatabaseError)
  t.equal(error.code, '42703')
  t.match(error.stack, 'db-metrics.test', 'the stack leads to the caller')

  const config = Object.freeze({ text: 'SELECT 1', callback: () => {} })
  t.equal(client.query(config as never), undefined)
  t.equal(client.query(config as never, undefined as never, null as never), undefined)
  await client.query('SELECT 1')
  t.strictSame(Object.keys(config), ['text', 'callback'])
})

t.test('an unhandled rejection stays one, and idle connections that break end a process as without us', async (t) => {
  const fixture = fileURLToPath(new URL('fixtures/process.mjs', import.meta.url))
  const mortal = await start(t)
  const run = async (mode: string) => {
    const running = promisify(execFile)(process.execPath, [fixture, mode, mortal.url])
    const output = running.then(
      ({ stdout }) => stdout,
      (error) => error.stderr as string,
    )
    if (mode.startsWith('broken')) {
      await once(running.child.stdout!, 'data')
      await mortal.restart()
      running.child.stdin!.end()
    }
    return output
  }

  t.match(await run('rejection'), /column "nothing" does not exist/)
  t.match(await run('broken-idle'), /Unhandled 'error' event/, 'the application did not listen')
  t.match(await run('broken-unused'), /survived/, 'only db-metrics had used the pool')
})

t.test('closing the application puts everything back', async (t) => {
  const pool = createPool(t, { max: 2, onConnect: () => {} } as pg.PoolConfig)
  const held = await pool.connect()
  const other = await pool.connect()
  for (const client of [held, other]) await client.query('SELECT 1')
  other.release()
  const look = () => ({
    pool: Reflect.ownKeys(pool),
    client: Reflect.ownKeys(held),
    other: Reflect.ownKeys(other),
    onConnect: (pool.options as { onConnect?: unknown }).onConnect,
    poolListeners: pool.eventNames().map((name) => [name, pool.listenerCount(name)]),
    clientListeners: held.eventNames().map((name) => [name, held.listenerCount(name)]),
  })
  const before = look()
  const app = await build(t, { pools: { main: pool } })
  await pool.query('SELECT 1')
  t.ok(Object.hasOwn(other, 'query'))
  t.strictSame(Object.keys(pool).includes('query'), false, 'the pool looks as before when it is logged')

  await app.close()

  t.strictSame(look(), before)
  t.strictSame((await pool.query('SELECT 1 AS a')).rows, [{ a: 1 }])
  held.release()

  const postgres = Fastify()
  await postgres.register(fastifyPostgres, { connectionString })
  const { connect, query } = postgres.pg
  await postgres.register(dbMetrics)
  await postgres.ready()
  t.not(postgres.pg.connect, connect)
  await postgres.close()
  t.equal(postgres.pg.connect, connect)
  t.equal(postgres.pg.query, query)
})

t.test('two applications share nothing, even with one pool', async (t) => {
  const shared = createPool(t)
  const first = await build(t, { pools: { main: shared } })
  const second = await build(t, { pools: { main: shared, own: createPool(t) } })

  await shared.query('SELECT 1')
  t.strictSame(countsOf(await scrape(first)), { SELECT: 1 })
  t.strictSame(countsOf(await scrape(second)), { SELECT: 1 })
  t.notMatch(await scrape(first), 'pool="own"')

  await first.close()
  await shared.query('SELECT 1')
  t.strictSame(countsOf(await scrape(second)), { SELECT: 2 })
})

t.test('a pool has one name and a name one pool', async (t) => {
  const pool = createPool(t)
  const app = await build(t, { pools: { main: pool } })

  app.dbMetrics.observe('main', pool)
  t.throws(() => app.dbMetrics.observe('other', pool), { code: 'DB_METRICS_ERR_POOL_NAME' })
  t.throws(() => app.dbMetrics.observe('main', createPool(t)), { code: 'DB_METRICS_ERR_POOL_NAME' })

  await pool.query('SELECT 1')
  t.strictSame(countsOf(await scrape(app)), { SELECT: 1 })
})

t.test('options that cannot work fail at register', async (t) => {
  for (const options of [
    { slowQuerySeconds: -1 },
    { slowQuerySeconds: Number.NaN },
    { upCheckMs: -1 },
    { upTimeoutMs: 0 },
    { buckets: [1, 0.5] },
    { pools: { main: {} as never } },
  ]) {
    await t.rejects(build(t, options), { code: 'METRICS_ERR_OPTION' }, JSON.stringify(options))
  }
  await build(t, { slowQuerySeconds: undefined as never, upCheckMs: undefined as never })
})
