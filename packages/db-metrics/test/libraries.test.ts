import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { assertDocumented, readValue } from '@data20/dev-services'
import { PrismaPg } from '@prisma/adapter-pg'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/postgres-js'
import type pg from 'pg'
import PgBoss from 'pg-boss'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import postgres from 'postgres'
import t from 'tap'
import { DataSource } from 'typeorm'
import { build, connectionString, countsOf, createPool, nonZero, scrape, server } from './helpers.ts'

const OUTCOMES = [
  'db_transactions_total{outcome="commit",pool="main"} 1',
  'db_transactions_total{outcome="rollback",pool="main"} 1',
]

t.test('TypeORM: its pool is observed once it is initialized', async (t) => {
  const app = await build(t)
  const source = new DataSource({ type: 'postgres', url: connectionString })
  await source.initialize()
  t.teardown(() => source.destroy())
  app.dbMetrics.observe('main', (source.driver as unknown as { master: pg.Pool }).master)

  await source.query('SELECT $1::int', [1])
  await source.transaction(async (manager) => {
    await manager.query('INSERT INTO notes (name) VALUES (NULL)')
    await manager.transaction((nested) => nested.query('SELECT 1'))
  })
  await t.rejects(
    source.transaction(async (manager) => {
      await manager.query('SELECT 1')
      throw new Error('no')
    }),
  )

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 3, INSERT: 1, BEGIN: 2, SAVEPOINT: 2, COMMIT: 1, ROLLBACK: 1 })
  t.strictSame(nonZero(text, 'db_transactions_total'), OUTCOMES)
  assertDocumented(t, {
    library: 'typeorm',
    counted:
      'queries, transactions and savepoints of a PostgreSQL `DataSource`, with the pool `dataSource.driver.master`',
    notCounted: 'replicas, unless their pools are observed themselves; drivers other than pg were not tried',
  })
})

t.test("Prisma's adapter: its queries and transactions are those of the pool that it gets", async (t) => {
  const pool = createPool(t)
  const app = await build(t, { pools: { main: pool } })
  const adapter = await new PrismaPg(pool).connect()
  t.teardown(() => adapter.dispose())
  const query = (text: string) => ({ sql: text, args: [], argTypes: [] })

  await adapter.queryRaw(query('SELECT 1 AS a'))
  const committed = await adapter.startTransaction()
  await committed.executeRaw(query('INSERT INTO notes (name) VALUES (NULL)'))
  // Prisma's engine sends COMMIT and ROLLBACK itself where the adapter says so.
  if (!committed.options.usePhantomQuery) await committed.executeRaw(query('COMMIT'))
  await committed.commit()
  const rolledBack = await adapter.startTransaction()
  await rolledBack.queryRaw(query('SELECT 1'))
  if (!rolledBack.options.usePhantomQuery) await rolledBack.executeRaw(query('ROLLBACK'))
  await rolledBack.rollback()
  await t.rejects(adapter.queryRaw(query('SELECT * FROM missing')))

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 3, INSERT: 1, BEGIN: 2, COMMIT: 1, ROLLBACK: 1 })
  t.strictSame(nonZero(text, 'db_transactions_total'), OUTCOMES)
  t.strictSame(nonZero(text, 'db_query_errors_total'), [
    'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="42"} 1',
  ])
  assertDocumented(t, {
    library: '@prisma/adapter-pg',
    counted: 'queries and transactions of `PrismaPg`, with the pool that it was made with',
    notCounted: 'the names of models and actions',
  })
})

t.test('pg-boss: what it sends is counted when it gets a function that uses the pool', async (t) => {
  const pool = createPool(t)
  const app = await build(t, { pools: { main: pool } })
  const boss = new PgBoss({ db: { executeSql: (text, values) => pool.query(text, values) }, schedule: false })
  boss.on('error', (error) => t.error(error))
  await boss.start()
  await boss.createQueue('mail')
  const before = countsOf(await scrape(app))

  for (let count = 0; count < 10; count += 1) await boss.send('mail', { count })
  const jobs = await boss.fetch('mail', { batchSize: 10 })
  t.equal(jobs.length, 10)
  const after = countsOf(await scrape(app))
  await boss.stop({ graceful: false })

  t.equal(after.INSERT! - (before.INSERT ?? 0), 10)
  assertDocumented(t, {
    library: 'pg-boss',
    counted: 'its queries, with `db: { executeSql: (text, values) => pool.query(text, values) }`',
    notCounted: 'the pool that it makes for a connection string; its jobs',
  })
})

t.test('pg-copy-streams: COPY counts once, from its sending to its end', async (t) => {
  const pool = createPool(t)
  const app = await build(t, { pools: { main: pool } })
  const client = await pool.connect()

  await client.query('CREATE TEMPORARY TABLE copied (id int)')
  await pipeline(Readable.from(['1\n', '2\n', '3\n']), client.query(copyFrom('COPY copied FROM STDIN')))
  const rows: string[] = []
  for await (const row of client.query(copyTo('COPY copied TO STDOUT'))) rows.push(String(row))
  await t.rejects(pipeline(Readable.from(['x\n']), client.query(copyFrom('COPY copied FROM STDIN'))))
  client.release()

  t.equal(rows.join(''), '1\n2\n3\n')
  const text = await scrape(app)
  t.strictSame(countsOf(text), { DDL: 1, COPY: 3 })
  t.strictSame(nonZero(text, 'db_query_errors_total'), [
    'db_query_errors_total{operation="COPY",pool="main",sqlstate_class="22"} 1',
  ])
  t.equal(readValue(text, 'db_query_duration_seconds_count{operation="COPY",pool="main"}'), 3)
  assertDocumented(t, { library: 'pg-copy-streams', counted: 'one query from its sending to its end' })
})

t.test('Drizzle on postgres.js is counted as on pg', async (t) => {
  const client = postgres(server.url, { max: 2 })
  t.teardown(() => client.end())
  const app = await build(t, { pools: { main: client } })
  const db = drizzle(client)

  await db.execute(sql`SELECT 1`)
  await db.transaction(async (tx) => {
    await tx.execute(sql`INSERT INTO notes (name) VALUES (NULL)`)
    await tx.transaction((nested) => nested.execute(sql`SELECT 2`))
  })
  await t.rejects(
    db.transaction(async (tx) => {
      await tx.execute(sql`SELECT 3`)
      tx.rollback()
    }),
  )

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 3, INSERT: 1, BEGIN: 2, COMMIT: 1, ROLLBACK: 1, SAVEPOINT: 1 })
  t.strictSame(nonZero(text, 'db_transactions_total'), OUTCOMES)
  // With node-postgres: test/pg/measure-client.test.ts.
  assertDocumented(t, {
    library: 'drizzle-orm',
    counted:
      'queries, transactions and savepoints of `drizzle-orm/node-postgres` and `drizzle-orm/postgres-js` with an observed pool or `sql`',
    notCounted: 'other drivers were not tried',
  })
})
