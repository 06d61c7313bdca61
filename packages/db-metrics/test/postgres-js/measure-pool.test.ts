import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { assertDocumented, readValue, until } from '@data20/dev-services'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { build, connectionString, countsOf, nonZero, scrape } from '../helpers.ts'

// What test/adapters.test.ts has for all drivers is not repeated here.

function create(t: Test, options: postgres.Options<Record<string, never>> = {}): postgres.Sql {
  const sql = postgres(connectionString, { onnotice: () => {}, ...options })
  t.teardown(() => sql.end({ timeout: 1 }))
  return sql
}

t.test('every way to send something is counted once', async (t) => {
  const sql = create(t, { max: 3 })
  const app = await build(t, { pools: { main: sql } })
  const file = join(t.testdir(), 'query.sql')
  writeFileSync(file, 'UPDATE notes SET id = id WHERE id < 0')

  await sql.file(file)
  await sql`SELECT ${1}::int`.describe()
  await sql.unsafe('SELECT 1; SELECT 2')
  await sql.begin(async (sql) => {
    await sql.savepoint(async (sql) => {
      await sql`DELETE FROM notes WHERE id < 0`
    })
    await sql.savepoint((sql) => sql`SELECT * FROM missing`).catch(() => {})
    await Promise.all([sql`SELECT 1`, sql`SELECT 2`, sql`SELECT 3`])
  })
  const reserved = await sql.reserve()
  await reserved`BEGIN`
  await reserved`ROLLBACK`
  reserved.release()
  await pipeline(Readable.from(['7\t\\N\n']), await sql`COPY notes (id, name) FROM STDIN`.writable())
  let copied = ''
  for await (const chunk of await sql`COPY (SELECT 1) TO STDOUT`.readable()) copied += chunk
  for await (const _rows of sql`SELECT * FROM generate_series(1, 100)`.cursor(10)) break

  t.equal(copied, '1\n')
  const text = await until('the copies to end', async () => {
    const text = await scrape(app)
    return readValue(text, 'db_queries_total{operation="COPY",pool="main"}') === 2 && text
  })
  t.strictSame(countsOf(text), {
    UPDATE: 1,
    SELECT: 1 + 1 + 1 + 3 + 1,
    DELETE: 1,
    BEGIN: 2,
    COMMIT: 1,
    ROLLBACK: 1,
    SAVEPOINT: 3,
    COPY: 2,
  })
  t.strictSame(nonZero(text, 'db_transactions_total'), [
    'db_transactions_total{outcome="commit",pool="main"} 1',
    'db_transactions_total{outcome="rollback",pool="main"} 1',
  ])
  t.equal(readValue(text, 'db_connections_active{pool="main"}'), 0)
  t.equal(readValue(text, 'db_connections_idle{pool="main"}'), undefined, 'what cannot be known is absent')
  assertDocumented(t, {
    library: 'postgres',
    counted:
      'queries in every form, transactions, savepoints, `reserve`, cursors, COPY, and callers without a connection, of an observed `sql`',
    notCounted: '`listen` and `subscribe`, which have connections of their own; idle connections',
  })
})

t.test('a COMMIT that the server answers with ROLLBACK is a rollback', async (t) => {
  const sql = create(t, { max: 1 })
  const app = await build(t, { pools: { main: sql } })

  await t.rejects(
    sql.begin(async (sql) => {
      await sql`SELECT * FROM missing`.catch(() => {})
    }),
  )
  await sql.unsafe('BEGIN; SELECT 1; COMMIT')

  t.strictSame(nonZero(await scrape(app), 'db_transactions_total'), [
    'db_transactions_total{outcome="commit",pool="main"} 1',
    'db_transactions_total{outcome="rollback",pool="main"} 1',
  ])
})

t.test('queries that were never sent have no duration', async (t) => {
  const sql = create(t, { max: 1 })
  const app = await build(t, { pools: { main: sql } })
  const reserved = await sql.reserve()
  await reserved`SELECT 1`

  const query = sql`SELECT 2`.execute()
  await until('a caller to wait', async () => readValue(await scrape(app), 'db_connections_waiting{pool="main"}') === 1)
  query.cancel()
  await t.rejects(query, { code: '57014' })
  sql`SELECT 3`
  reserved.release()

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 2 }, 'a query that nobody waits for does not exist')
  t.equal(readValue(text, 'db_query_duration_seconds_count{operation="SELECT",pool="main"}'), 1)
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="error"}'), 1)
  t.equal(readValue(text, 'db_up{pool="main"}'), 1)
})

t.test('an sql that is not observed is left alone, and the build for require is another class', async (t) => {
  const sql = create(t)
  const app = await build(t, { pools: { main: sql } })
  const other = create(t)
  const required = createRequire(import.meta.url)('postgres') as typeof postgres
  const common = required(connectionString)
  t.teardown(() => common.end({ timeout: 1 }))

  await other`SELECT 1`
  await other.begin((sql) => sql`SELECT 1`)
  await common`SELECT 1`
  t.strictSame(countsOf(await scrape(app)), {})

  app.dbMetrics.observe('common', common)
  await Promise.all([common`SELECT 1`, sql`SELECT 1`, other`SELECT 1`])
  const text = await scrape(app)
  t.strictSame(countsOf(text, 'common'), { SELECT: 1 })
  t.strictSame(countsOf(text), { SELECT: 1 })
})

t.test('a server that does not accept in time is a timeout', async (t) => {
  const { createServer } = await import('node:net')
  const silent = createServer((socket) => void socket.on('error', () => {}))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const { port } = silent.address() as { port: number }
  const sql = postgres({ host: '127.0.0.1', port, connect_timeout: 1, max: 1 })
  t.teardown(() => sql.end({ timeout: 0 }))
  const app = await build(t, { pools: { main: sql }, upTimeoutMs: 200 })

  await t.rejects(sql`SELECT 1`, { code: 'CONNECT_TIMEOUT' })

  const text = await scrape(app)
  t.equal(readValue(text, 'db_connection_timeouts_total{pool="main"}'), 1)
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="timeout"}'), 1)
  t.strictSame(countsOf(text), { SELECT: 1 })
  t.equal(readValue(text, 'db_up{pool="main"}'), 0)
})
