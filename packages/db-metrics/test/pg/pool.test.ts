import { setTimeout as sleep } from 'node:timers/promises'
import { assertDocumented, readValue, until } from '@data20/dev-services'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect, sql } from 'kysely'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { build, called, countsOf, createPool, nonZero, scrape } from '../helpers.ts'

/** Holds the advisory lock 7, for which others wait until it is released. */
async function holdLock(t: Test, pool: pg.Pool): Promise<{ release(): Promise<void> }> {
  const client = await pool.connect()
  t.teardown(() => client.release())
  await client.query('SELECT pg_advisory_lock(7)')
  return { release: async () => void (await client.query('SELECT pg_advisory_unlock(7)')) }
}

t.test('connections are those that pg_stat_activity has', async (t) => {
  const pool = createPool(t, { max: 7, application_name: 'gauges' })
  const app = await build(t, { pools: { main: pool } })
  const inspector = createPool(t)
  const clients = await Promise.all(Array.from({ length: 5 }, () => pool.connect()))
  for (const client of clients.splice(3)) client.release()
  const lock = await holdLock(t, inspector)
  const running = Promise.all(clients.map((client) => client.query('SELECT pg_advisory_lock_shared(7)')))
  const count = `SELECT count(*)::int AS count, count(*) FILTER (WHERE query LIKE '%advisory%' AND state = 'active')::int AS busy
     FROM pg_stat_activity WHERE application_name = 'gauges'`
  await until('three connections to be busy', async () => (await inspector.query(count)).rows[0].busy === 3)

  const text = await scrape(app)
  const { rows } = await inspector.query(count)

  t.strictSame(rows, [{ count: 5, busy: 3 }])
  t.equal(readValue(text, 'db_connections_active{pool="main"}'), 3)
  t.equal(readValue(text, 'db_connections_idle{pool="main"}'), 2)
  t.equal(readValue(text, 'db_connections_max{pool="main"}'), 7)
  t.equal(readValue(text, 'db_connections_waiting{pool="main"}'), 0)
  await lock.release()
  await running
  for (const client of clients) client.release()
})

t.test('10 callers of a pool of 2 show as waiting, with the time that they wait', async (t) => {
  const pool = createPool(t, { max: 2 })
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0 })
  await Promise.all([pool.query('SELECT 1'), pool.query('SELECT 1')])
  const before = readValue(await scrape(app), 'db_connection_wait_seconds_sum{pool="main",result="acquired"}')!
  const lock = await holdLock(t, createPool(t))
  let truth = 0

  const callers = Promise.all(
    Array.from({ length: 10 }, async () => {
      const startMs = performance.now()
      const client = await pool.connect()
      truth += (performance.now() - startMs) / 1000
      await client.query('SELECT pg_advisory_lock_shared(7)')
      client.release()
    }),
  )
  await until('eight callers to wait', () => pool.waitingCount === 8)
  // The callers hold both connections until the lock is released, so a scrape that queued behind them would not end.
  const during = await scrape(app)
  await sleep(300)
  await lock.release()
  await callers

  t.equal(readValue(during, 'db_connections_waiting{pool="main"}'), 8)
  t.equal(readValue(during, 'db_connections_active{pool="main"}'), 2)
  t.equal(readValue(during, 'db_up{pool="main"}'), 1)
  const after = await scrape(app)
  const waited = readValue(after, 'db_connection_wait_seconds_sum{pool="main",result="acquired"}')! - before
  t.ok(truth > 2.4, `the callers waited ${truth} s, eight of them at least 0.3 s`)
  t.ok(Math.abs(waited - truth) < truth * 0.1, `${waited} s of ${truth} s`)
  t.equal(readValue(after, 'db_connection_wait_seconds_count{pool="main",result="acquired"}'), 12)
})

t.test('callers who wait too long are counted in every form, and say nothing about the database', async (t) => {
  const pool = createPool(t, { max: 1, connectionTimeoutMillis: 500 })
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0, slowQuerySeconds: 0.1 })
  const client = await pool.connect()

  const message = 'timeout exceeded when trying to connect'
  await Promise.all([
    t.rejects(pool.query('SELECT 1'), { message }),
    t.rejects(pool.connect(), { message }),
    t.rejects(
      called(t, (callback) => pool.connect(callback)),
      { message },
    ),
    t.rejects(sql`SELECT 1`.execute(new Kysely({ dialect: new PostgresDialect({ pool }) })), { message }),
    t.rejects(
      drizzle(pool).transaction(async () => {}),
      { message },
    ),
  ])

  const text = await scrape(app)
  t.equal(readValue(text, 'db_connection_timeouts_total{pool="main"}'), 5)
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="timeout"}'), 5)
  t.ok(readValue(text, 'db_connection_wait_seconds_sum{pool="main",result="timeout"}')! > 2)
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="acquired"}'), 1)
  t.strictSame(countsOf(text), { SELECT: 1 }, 'only pool.query has a query')
  t.strictSame(nonZero(text, 'db_query_duration_seconds_count'), [], 'which was never sent')
  t.strictSame(nonZero(text, 'db_slow_queries_total'), [])
  assertDocumented(t, {
    library: 'kysely',
    counted: 'queries, and callers without a connection, of `PostgresDialect` with an observed pool',
    notCounted: 'other dialects',
  })
  t.strictSame(nonZero(text, 'db_query_errors_total'), [
    'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="other"} 1',
  ])
  t.equal(readValue(text, 'db_up{pool="main"}'), 1)
  client.release()
})
