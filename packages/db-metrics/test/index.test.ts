import { readValue } from '@data20/dev-services'
import fastifyPostgres from '@fastify/postgres'
import Fastify from 'fastify'
import pg from 'pg'
import t from 'tap'
import { dbMetrics } from '../src/index.ts'
import { build, connectionString, countsOf, createPool, scrape } from './helpers.ts'

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

t.test('a pool that was ended disappears, also one with callers that pg never answers', async (t) => {
  const old = createPool(t, { max: 1 })
  const app = await build(t, { pools: { main: old }, upCheckMs: 0 })
  const held = await old.connect()
  const STATE = /^db_(?:up|connections_[a-z_]+)\{/m
  t.match(await scrape(app), STATE)

  for (let count = 0; count < 3; count += 1) old.query('SELECT 1').catch(() => {})
  const ended = old.end()
  t.notMatch(await scrape(app), STATE, 'what is said of its connections would stay for ever')
  await held.query('SELECT 1')
  held.release()
  await ended

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 1 }, 'a query that ran while the pool ended is counted')
  t.notMatch(text, 'metrics_collector_success{collector="db_main"}')
})

t.test('the successor of an ended pool takes its name, and the counts go on', async (t) => {
  const app = await build(t, { upCheckMs: 0 })
  for (let round = 1; round <= 3; round += 1) {
    const pool = createPool(t)
    app.dbMetrics.observe('main', pool)
    await pool.query('SELECT 1')
    const text = await scrape(app)
    t.strictSame(countsOf(text), { SELECT: round })
    t.equal(readValue(text, 'db_up{pool="main"}'), 1)
    // Callers rotate without waiting for the end, too.
    if (round === 1) pool.end()
    else await pool.end()
    t.throws(() => app.dbMetrics.observe('late', pool), { code: 'METRICS_ERR_OPTION' })
  }
})

t.test('what is not a pool is an option that cannot work', async (t) => {
  const app = await build(t)
  for (const value of [undefined, null, 'pool', {}, () => {}, new pg.Client(), { connect() {} }]) {
    t.throws(() => app.dbMetrics.observe('x', value as never), { code: 'METRICS_ERR_OPTION', message: /pools\.x/ })
  }
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
