import { readValue, until } from '@data20/dev-services'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import Cursor from 'pg-cursor'
import t from 'tap'
import { build, connectionString, countsOf, createPool, nonZero, scrape } from '../helpers.ts'

const seconds = (text: string, operation: string) =>
  readValue(text, `db_query_duration_seconds_sum{operation="${operation}",pool="main"}`)!

t.test('a query that waits for others of its connection has not begun', async (t) => {
  const pool = createPool(t, { max: 1 })
  const app = await build(t, { pools: { main: pool } })
  const client = await pool.connect()

  const startMs = performance.now()
  const cursor = client.query(new Cursor('SELECT 1'))
  await Promise.all([
    cursor.read(1).then(() => cursor.close()),
    ...Array.from({ length: 10 }, () => client.query('SELECT pg_sleep(0.05)')),
    client.query({ name: 'prepared', text: 'UPDATE notes SET id = id WHERE id = $1', values: [-1] }),
    new Promise((resolve) => client.query('DELETE FROM notes WHERE id < 0', resolve)),
  ])
  const wholeSeconds = (performance.now() - startMs) / 1000
  client.release()

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 11, UPDATE: 1, DELETE: 1 })
  const sum = seconds(text, 'SELECT') + seconds(text, 'UPDATE') + seconds(text, 'DELETE')
  t.ok(
    sum < 2 * wholeSeconds,
    `${sum} s of ${wholeSeconds} s: one after another, where they began at once it is six times`,
  )
  t.ok(seconds(text, 'UPDATE') + seconds(text, 'DELETE') < wholeSeconds / 2)
})

t.test('a query behind one that was abandoned begins when the server has ended that', async (t) => {
  const pool = createPool(t, { max: 1 })
  const app = await build(t, { pools: { main: pool }, slowQuerySeconds: 1 })
  const client = await pool.connect()

  await t.rejects(client.query({ text: 'SELECT pg_sleep(2)', query_timeout: 50 } as pg.QueryConfig))
  await client.query('UPDATE notes SET id = id WHERE id < 0')
  // This one is abandoned before it is sent.
  const busy = client.query('SELECT pg_sleep(0.5)')
  await t.rejects(client.query({ text: 'INSERT INTO notes VALUES (1)', query_timeout: 50 } as pg.QueryConfig))
  await busy
  client.release()

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 2, UPDATE: 1, INSERT: 1 })
  t.ok(seconds(text, 'UPDATE') < 1, 'it waited for two seconds')
  t.equal(readValue(text, 'db_slow_queries_total{operation="UPDATE",pool="main"}'), 0)
  t.equal(readValue(text, 'db_query_duration_seconds_count{operation="INSERT",pool="main"}'), 0, 'it was never sent')
  t.equal(readValue(text, 'db_query_errors_total{operation="INSERT",pool="main",sqlstate_class="other"}'), 1)
})

t.test('a transaction ends as the server says', async (t) => {
  const pool = createPool(t, { max: 1 })
  const app = await build(t, { pools: { main: pool }, upCheckMs: 1e9 })
  const db = drizzle(pool)
  for (let count = 0; count < 2; count += 1) {
    await db.transaction(async (outer) => {
      await outer.execute(sql`SELECT 1`)
      const inner = outer.transaction(async () => {
        throw new Error('caught')
      })
      await t.rejects(inner, { message: 'caught' })
    })
  }
  const client = await pool.connect()
  const run = async (...texts: string[]) => {
    for (const text of texts) await client.query(text).catch(() => {})
  }
  await run('BEGIN', 'SELECT 1/0', 'COMMIT')
  await run('BEGIN', 'SELECT 1', 'ROLLBACK')
  await run('BEGIN; SELECT 1/0; COMMIT', 'COMMIT')
  await run('BEGIN; SELECT 1; SAVEPOINT a; ROLLBACK TO a; COMMIT')
  await run('BEGIN; ROLLBACK; BEGIN; COMMIT')
  await run('BEGIN', 'SELECT 1', 'COMMIT AND CHAIN', 'SELECT 1', 'ABORT')
  await run('COMMIT', 'ROLLBACK', 'SELECT 1')
  client.release()

  const text = await scrape(app)
  const expected = { commit: 2 + 1 + 1 + 1, rollback: 1 + 1 + 1 + 1 + 1 }
  t.strictSame(nonZero(text, 'db_transactions_total'), [
    `db_transactions_total{outcome="commit",pool="main"} ${expected.commit}`,
    `db_transactions_total{outcome="rollback",pool="main"} ${expected.rollback}`,
  ])
  for (const [outcome, count] of Object.entries(expected)) {
    t.equal(readValue(text, `db_transaction_duration_seconds_count{outcome="${outcome}",pool="main"}`), count)
  }
  t.equal(countsOf(text).SAVEPOINT, 4)
})

t.test('a connection that ends amid a transaction loses it, and one that does nothing in it is idle', async (t) => {
  const pool = createPool(t, { max: 3 })
  pool.on('error', () => {})
  const app = await build(t, { pools: { main: pool } })
  const idle = async () => readValue(await scrape(app), 'db_connections_idle_in_transaction{pool="main"}')
  const client = await pool.connect()
  client.on('error', () => {})

  await client.query('BEGIN')
  t.equal(await idle(), 1)
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  const running = client.query('SELECT pg_sleep(60)')
  const interrupted = t.rejects(running)
  t.equal(await idle(), 0, 'a query runs')
  const admin = new pg.Client(connectionString)
  await admin.connect()
  await admin.query('SELECT pg_terminate_backend($1)', [rows[0].pid])
  await admin.end()
  await interrupted
  client.release(true)
  await until('the connection to end', async () => nonZero(await scrape(app), 'db_transactions_total').length > 0)

  const text = await scrape(app)
  t.strictSame(nonZero(text, 'db_transactions_total'), ['db_transactions_total{outcome="lost",pool="main"} 1'])
  t.equal(await idle(), 0)
})

t.test('a connection is checked out from having it to giving it back, in every form', async (t) => {
  const pool = createPool(t, { max: 2 })
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0 })

  const startMs = performance.now()
  const client = await pool.connect()
  await client.query('SELECT pg_sleep(0.2)')
  client.release()
  const wholeSeconds = (performance.now() - startMs) / 1000
  await scrape(app)
  await pool.query('SELECT 1')
  await new Promise<void>((resolve) =>
    pool.connect((_error, _client, release) => {
      release()
      resolve()
    }),
  )

  const text = await scrape(app)
  t.equal(readValue(text, 'db_connection_checkout_seconds_count{pool="main"}'), 3, 'the question for db_up is not ours')
  t.ok(readValue(text, 'db_connection_checkout_seconds_sum{pool="main"}')! >= 0.2)
  t.ok(readValue(text, 'db_connection_checkout_seconds_sum{pool="main"}')! < wholeSeconds + 30)
})

t.test('queries have the names that are asked for, and no other', async (t) => {
  const pool = createPool(t)
  const named = await build(t, { pools: { main: pool }, queryNames: ['find-note', 'never'] })
  const main = createPool(t)
  const commented = await build(t, {
    pools: { main },
    queryNames: ['find-note'],
    queryNameOf(text) {
      if (text.includes('broken')) throw new Error('no name')
      return /^-- (\S+)/.exec(text)?.[1]
    },
  })
  const none = await build(t, { pools: { main: createPool(t) } })

  await pool.query({ name: 'find-note', text: 'SELECT * FROM notes WHERE id = $1', values: [1] })
  await pool.query({ name: 'unknown', text: 'SELECT 1' })
  await pool.query('SELECT 2')
  await t.rejects(pool.query({ name: 'find-note-2', text: 'SELECT * FROM missing' }))
  t.strictSame(nonZero(await scrape(named), 'db_queries_total'), [
    'db_queries_total{operation="SELECT",pool="main",query="other"} 3',
    'db_queries_total{operation="SELECT",pool="main",query="find-note"} 1',
  ])
  t.match(await scrape(named), 'db_query_duration_seconds_count{operation="SELECT",pool="main",query="find-note"} 1\n')
  t.match(
    await scrape(named),
    'db_query_errors_total{operation="SELECT",pool="main",query="other",sqlstate_class="42"} 1\n',
  )
  t.notMatch(await scrape(none), 'query="')

  await main.query('-- find-note\nSELECT 1')
  await main.query('-- another\nSELECT 1')
  await main.query("SELECT 'broken'")
  t.strictSame(nonZero(await scrape(commented), 'db_queries_total'), [
    'db_queries_total{operation="SELECT",pool="main",query="other"} 2',
    'db_queries_total{operation="SELECT",pool="main",query="find-note"} 1',
  ])
})
