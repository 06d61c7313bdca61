import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { assertDocumented, readValue } from '@data20/dev-services'
import pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import t, { type Test } from 'tap'
import {
  build,
  called,
  countsOf,
  createPool,
  nonZero,
  rejectsWith,
  repeat,
  repeatAtOnce,
  scrape,
  start,
  TIMES,
} from '../helpers.ts'

type Way = (pool: pg.Pool, client: pg.PoolClient, t: Test) => (index: number) => Promise<unknown>
/** Every way of sending a query, and the operations that it counts as. */
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

t.test(`${TIMES} queries in each way of querying are ${TIMES} queries`, async (t) => {
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
  assertDocumented(t, {
    library: 'pg',
    counted:
      'queries of pools and their clients in every form: promises, callbacks, prepared, `pg.Query`; waits, transactions, checkouts',
    notCounted: 'a `pg.Client` without a pool; the native driver was not tried',
  })
  for (const library of ['pg-cursor', 'pg-query-stream']) {
    assertDocumented(t, {
      library,
      counted: 'one query from its sending to the end of its reader',
      notCounted: 'single reads',
    })
  }
})

let isCallback = true
/** Ways in which a query fails, and their SQLSTATE. */
const failures: Record<
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

t.test('failing queries in each way are as many queries, and errors of their class', async (t) => {
  for (const [name, { sqlstate, run }] of Object.entries(failures)) {
    await t.test(name, async (t) => {
      const pool = createPool(t)
      const app = await build(t, { pools: { main: pool } })
      const held = await pool.connect()
      t.teardown(() => held.release())

      // A pool makes a new connection after each query that fails.
      const isOfPool = name.startsWith('pool')
      const times = isOfPool ? TIMES / 10 : TIMES
      if (isOfPool) await repeatAtOnce(8, () => rejectsWith(t, run(pool, held, t), sqlstate), times)
      else await repeat(() => rejectsWith(t, run(pool, held, t), sqlstate))

      const text = await scrape(app)
      t.strictSame(countsOf(text), { SELECT: times })
      t.strictSame(nonZero(text, 'db_query_errors_total'), [
        `db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="${sqlstate.slice(0, 2)}"} ${times}`,
      ])
    })
  }
})

t.test('a value that cannot be sent, for which pg calls the callback twice, is one query', async (t) => {
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

t.test('a query that never got a connection', async (t) => {
  const pool = createPool(t, { connectionString: 'postgres://postgres@127.0.0.1:1/postgres' })
  const app = await build(t, { pools: { main: pool } })

  await repeat(() => rejectsWith(t, pool.query('UPDATE notes SET name = NULL'), 'ECONNREFUSED'))
  await rejectsWith(t, pool.connect(), 'ECONNREFUSED')

  const text = await scrape(app)
  t.strictSame(countsOf(text), { UPDATE: TIMES }, 'asking for a connection is no query')
  t.strictSame(nonZero(text, 'db_query_errors_total'), [
    `db_query_errors_total{operation="UPDATE",pool="main",sqlstate_class="other"} ${TIMES}`,
  ])
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="acquired"}'), 0)
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="error"}'), TIMES + 1)
  t.equal(readValue(text, 'db_connection_timeouts_total{pool="main"}'), 0)
  t.equal(readValue(text, 'db_query_duration_seconds_count{operation="UPDATE",pool="main"}'), 0, 'it was never sent')
  t.equal(readValue(text, 'db_up{pool="main"}'), 0)
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
  const app = await build(t, { pools: { main: pool }, slowQuerySeconds: 0.9, buckets: [0.9, 1000] })

  const startMs = performance.now()
  await pool.query('SELECT pg_sleep(1)')
  await pool.query('SELECT 1')
  const elapsedSeconds = (performance.now() - startMs) / 1000

  const text = await scrape(app)
  t.equal(readValue(text, 'db_slow_queries_total{operation="SELECT",pool="main"}'), 1)
  const series = (le: string) => `db_query_duration_seconds_bucket{operation="SELECT",pool="main",le="${le}"}`
  t.strictSame(
    [series('0.9'), series('1000.0'), series('+Inf')].map((name) => readValue(text, name)),
    [1, 2, 2],
  )
  const seconds = readValue(text, 'db_query_duration_seconds_sum{operation="SELECT",pool="main"}')!
  t.ok(seconds >= 1 && seconds <= elapsedSeconds, `1 s of sleep, ${elapsedSeconds} in all, show as ${seconds}`)
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
  t.match(error.stack, 'measure-pool.test', 'the stack leads to the caller')

  const config = Object.freeze({ text: 'SELECT 1', callback: () => {} })
  t.equal(client.query(config as never), undefined)
  t.equal(client.query(config as never, undefined as never, null as never), undefined)
  await client.query('SELECT 1')
  t.strictSame(Object.keys(config), ['text', 'callback'])
})

t.test('an unhandled rejection stays one, and idle connections that break end a process as without us', async (t) => {
  const fixture = fileURLToPath(new URL('../fixtures/process.mjs', import.meta.url))
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
