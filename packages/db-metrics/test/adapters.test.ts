import { readValue, type Service, until } from '@data20/dev-services'
import t, { type Test } from 'tap'
import { createDrivers, type Driver, type Pool } from './drivers.ts'
import { build, countsOf, nonZero, scrape } from './helpers.ts'

// What every adapter does, with the real driver and the real server: one contract for all of them.

t.test('every adapter keeps the contract', async (t) => {
  for (const driver of await createDrivers(t)) await t.test(driver.name, (t) => keepsContract(t, driver))
})

async function keepsContract(t: Test, driver: Driver): Promise<void> {
  await t.test('every query is counted once, and timed', (t) => everyQuery(t, driver))
  await t.test('a query that fails is an error of its class', (t) => failures(t, driver))
  await t.test('a transaction ends as the server says', (t) => transactions(t, driver))
  await t.test('callers who wait are seen', (t) => waiting(t, driver))
  await t.test('a server that is killed is seen, and what it takes with it', (t) => killed(t, driver))
  await t.test('a pool that was ended disappears, and its successor takes its name', (t) => ended(t, driver))
  await t.test('closing the application leaves the pool as it was', (t) => closed(t, driver))
  await t.test('two applications count one pool each for itself', (t) => shared(t, driver))
}

async function observed(t: Test, pool: Pool, options = {}) {
  return build(t, { pools: { main: pool.observable }, upCheckMs: 0, ...options })
}

async function everyQuery(t: Test, driver: Driver): Promise<void> {
  const pool = driver.create(t, { max: 3 })
  const app = await observed(t, pool)
  const ways = Object.entries(pool.ways)

  for (const [way, run] of ways) {
    await Promise.all(Array.from({ length: 100 }, run))
    t.pass(way)
  }

  const text = await scrape(app)
  const count = ways.length * 100
  t.strictSame(countsOf(text), { SELECT: count })
  t.equal(readValue(text, 'db_query_duration_seconds_count{operation="SELECT",pool="main"}'), count)
  t.ok(readValue(text, 'db_query_duration_seconds_sum{operation="SELECT",pool="main"}')! > 0)
  t.strictSame(nonZero(text, 'db_query_errors_total'), [])
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="acquired"}'), count)
  t.equal(readValue(text, 'db_connection_checkout_seconds_count{pool="main"}'), count)
  t.equal(readValue(text, 'db_connections_active{pool="main"}'), 0)
  t.equal(readValue(text, 'db_connections_waiting{pool="main"}'), 0)
  t.equal(readValue(text, 'db_connections_max{pool="main"}'), 3)
  t.equal(readValue(text, 'db_up{pool="main"}'), 1)
}

async function failures(t: Test, driver: Driver): Promise<void> {
  const pool = driver.create(t, { max: 2 })
  const app = await observed(t, pool)

  for (let round = 0; round < 10; round += 1) await t.rejects(pool.query('SELECT * FROM missing'))
  await t.rejects(pool.query('SELEC 1'))

  const text = await scrape(app)
  t.strictSame(countsOf(text), { SELECT: 10, OTHER: 1 })
  t.strictSame(nonZero(text, 'db_query_errors_total').sort(), [
    'db_query_errors_total{operation="OTHER",pool="main",sqlstate_class="42"} 1',
    'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="42"} 10',
  ])
  t.equal(readValue(text, 'db_up{pool="main"}'), 1, 'the database answers')
}

async function transactions(t: Test, driver: Driver): Promise<void> {
  const pool = driver.create(t, { max: 2 })
  const app = await observed(t, pool)
  let during = ''

  await pool.transaction(async (query) => {
    await query('INSERT INTO notes (name) VALUES (NULL)')
    await query('SAVEPOINT a')
    await query('ROLLBACK TO SAVEPOINT a')
    during = await scrape(app)
  })
  await t.rejects(
    pool.transaction(async (query) => {
      await query('SELECT 1')
      throw new Error('no')
    }),
    { message: 'no' },
  )
  await pool.query('SELECT 1')

  t.equal(readValue(during, 'db_connections_idle_in_transaction{pool="main"}'), 1)
  t.equal(readValue(during, 'db_connections_active{pool="main"}'), 1)
  const text = await scrape(app)
  t.strictSame(nonZero(text, 'db_transactions_total'), [
    'db_transactions_total{outcome="commit",pool="main"} 1',
    'db_transactions_total{outcome="rollback",pool="main"} 1',
  ])
  t.strictSame(countsOf(text), { SELECT: 2, INSERT: 1, BEGIN: 2, COMMIT: 1, ROLLBACK: 1, SAVEPOINT: 2 })
  t.equal(readValue(text, 'db_connections_idle_in_transaction{pool="main"}'), 0)
  t.equal(readValue(text, 'db_connections_active{pool="main"}'), 0)
  t.equal(readValue(text, 'db_connection_checkout_seconds_count{pool="main"}'), 3)
}

async function waiting(t: Test, driver: Driver): Promise<void> {
  const pool = driver.create(t, { max: 2 })
  const app = await observed(t, pool)
  const held = [await pool.hold(), await pool.hold()]
  const before = await scrape(app)

  const callers = Promise.all(Array.from({ length: 5 }, () => pool.query('SELECT 1')))
  const during = await until('five callers to wait', async () => {
    const text = await scrape(app)
    return readValue(text, 'db_connections_waiting{pool="main"}') === 5 && text
  })
  for (const release of held) await release()
  await callers

  t.equal(readValue(before, 'db_connections_waiting{pool="main"}'), 0)
  t.equal(readValue(during, 'db_connections_active{pool="main"}'), 2)
  t.equal(readValue(during, 'db_up{pool="main"}'), 1, 'a pool that is full is not asked')
  const text = await scrape(app)
  t.equal(readValue(text, 'db_connections_waiting{pool="main"}'), 0)
  t.equal(readValue(text, 'db_connections_active{pool="main"}'), 0)
  t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="main",result="acquired"}'), 7)
}

async function killed(t: Test, driver: Driver): Promise<void> {
  const server: Service = await driver.startServer(t)
  const pool = driver.create(t, { max: 2, url: server.url })
  const app = await observed(t, pool)
  const upIs = (value: number) =>
    until(`db_up to be ${value}`, async () => readValue(await scrape(app), 'db_up{pool="main"}') === value)
  await pool.query('SELECT 1')
  await upIs(1)

  const lost = 'db_transactions_total{outcome="lost",pool="main"}'
  const transaction = pool.transaction(async (query) => {
    await query('SELECT 1')
    await server.kill()
    await until('the transaction to be lost', async () => readValue(await scrape(app), lost) === 1)
    throw new Error('no')
  })
  await t.rejects(transaction)
  await upIs(0)
  await t.rejects(pool.query('SELECT 3'))

  const down = await scrape(app)
  t.strictSame(nonZero(down, 'db_transactions_total'), [`${lost} 1`])
  t.equal(readValue(down, 'db_queries_total{operation="SELECT",pool="main"}'), 3)
  const errors = 'db_query_errors_total{operation="SELECT",pool="main",sqlstate_class="other"}'
  t.ok(readValue(down, errors)! >= 1, `${nonZero(down, 'db_query_errors_total')}`)
  t.equal(readValue(down, 'db_connection_wait_seconds_count{pool="main",result="error"}'), 1)
  t.equal(readValue(down, 'db_connections_idle_in_transaction{pool="main"}'), 0)

  await server.restart()
  await upIs(1)
  await pool.query('SELECT 1')
  t.equal(readValue(await scrape(app), 'db_connections_active{pool="main"}'), 0)
}

async function ended(t: Test, driver: Driver): Promise<void> {
  const app = await build(t, { upCheckMs: 0 })
  for (let round = 1; round <= 3; round += 1) {
    const pool = driver.create(t, { max: 2 })
    app.dbMetrics.observe('main', pool.observable)
    t.throws(() => app.dbMetrics.observe('other', pool.observable), { code: 'DB_METRICS_ERR_POOL_NAME' })
    await pool.query('SELECT 1')
    const text = await scrape(app)
    t.strictSame(countsOf(text), { SELECT: round })
    t.equal(readValue(text, 'db_up{pool="main"}'), 1)

    await pool.end()
    t.notMatch(await scrape(app), /^db_(?:up|connections_[a-z_]+)\{/m)
    t.throws(() => app.dbMetrics.observe('late', pool.observable), { code: 'METRICS_ERR_OPTION' })
  }
}

async function closed(t: Test, driver: Driver): Promise<void> {
  const pool = driver.create(t, { max: 2 })
  const release = await pool.hold()
  const look = () => pool.inside().map((object) => Reflect.ownKeys(object).map(String).sort())
  const before = look()
  const app = await observed(t, pool)
  await pool.query('SELECT 1')
  await pool.transaction((query) => query('SELECT 1'))

  await app.close()

  t.strictSame(look(), before)
  await pool.query('SELECT 1')
  await release()
}

async function shared(t: Test, driver: Driver): Promise<void> {
  const pool = driver.create(t, { max: 2 })
  const first = await observed(t, pool)
  const second = await observed(t, pool)

  await pool.transaction((query) => query('SELECT 1'))
  for (const app of [first, second]) {
    t.strictSame(countsOf(await scrape(app)), { SELECT: 1, BEGIN: 1, COMMIT: 1 })
  }
  await first.close()
  await pool.query('SELECT 1')
  t.strictSame(countsOf(await scrape(second)), { SELECT: 2, BEGIN: 1, COMMIT: 1 })
}
