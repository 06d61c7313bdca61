import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { readValue, until } from '@data20/dev-services'
import fastifyPostgres from '@fastify/postgres'
import pg from 'pg'
import t from 'tap'
import { build, countsOf, createPool, scrape, start } from './helpers.ts'

t.test('asking whether the database is up leaves no trace', async (t) => {
  const pool = createPool(t, { application_name: 'quiet' })
  const inspector = createPool(t)
  const app = await build(t, { pools: { main: pool }, upCheckMs: 0 })

  const first = await scrape(app)
  const second = await scrape(app)

  t.equal(readValue(first, 'db_up{pool="main"}'), 1)
  t.strictSame(countsOf(second), {})
  t.equal(readValue(second, 'db_connection_wait_seconds_count{pool="main",result="acquired"}'), 0)
  t.equal(readValue(second, 'db_connections_active{pool="main"}'), 0)
  t.equal(pool.totalCount, 0, 'an idle connection of ours could break, and the pool would emit an error')
  const text = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'quiet'`
  await until('our connection to end', async () => (await inspector.query(text)).rows[0].count === 0)

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
  t.ok(longestMs < 10_000, `the longest scrape took ${longestMs.toFixed()} ms`)
  const refused = counters.get('db_query_errors_total{operation="SELECT",pool="default",sqlstate_class="other"}')!
  t.ok(refused > 0, `${refused} queries were refused`)
})

t.test('without traffic too, db_up follows a killed and restarted server', async (t) => {
  const mortal = await start(t)
  const pool = createPool(t, { connectionString: mortal.url })
  pool.on('error', () => {})
  const app = await build(t, { pools: { main: pool }, upCheckMs: 1e9 })
  await pool.query('SELECT 1')
  t.equal(readValue(await scrape(app), 'db_up{pool="main"}'), 1)

  await mortal.kill()
  // Only the connection that broke is a reason to ask: the proof is valid for ever.
  await until('db_up to be 0', async () => readValue(await scrape(app), 'db_up{pool="main"}') === 0)

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
    t.ok(performance.now() - startMs < 10_000)
  }
  t.equal(sockets.length, 1)
  for (const socket of sockets) socket.destroy()
})
