import { type Service, startPostgres, temporaryFolder, until } from '@data20/dev-services'
import { metricsCore } from '@data20/metrics-core'
import Fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import { type DbMetricsOptions, dbMetrics } from '../src/index.ts'

/** Calls of each kind. */
export const TIMES = 300

export async function start(t: Test): Promise<Service> {
  const server = await startPostgres({ directory: temporaryFolder(t, 'db-metrics'), durable: false })
  t.teardown(async () => {
    await disconnected(server.url)
    await server.stop()
  })
  return server
}

/**
 * Resolves once nobody else is connected. A server that is stopped tells a connection which is just ending that it is
 * terminated, and pg emits that as an error to nobody.
 */
async function disconnected(url: string): Promise<void> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  try {
    await client.connect()
    const others = `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
    await until('all connections to end', async () => (await client.query(others)).rows[0].count === 0, 10_000)
  } catch {
    // The test has killed the server, or keeps a connection that it cannot end.
  } finally {
    await client.end().catch(() => {})
  }
}

/** The server of this file's tests. */
export const server: Service = await start(t)
export const { url: connectionString } = server

export function createPool(t: Test, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, ...options })
  t.teardown(() => (pool.ended ? undefined : pool.end()))
  return pool
}

/** Builds an application whose deadlines hold on a slow machine too. */
export async function build(t: Test, options: DbMetricsOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { collectorTimeoutMs: 30_000 })
  await app.register(dbMetrics, { upTimeoutMs: 20_000, ...options })
  return app
}

export async function scrape(app: FastifyInstance): Promise<string> {
  const response = await app.inject('/metrics')
  return response.body
}

/** Returns the lines of a metric whose value is not zero. */
export function nonZero(text: string, metric: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${metric}{`) && !line.endsWith(' 0'))
}

/** Returns the number of queries of one pool by operation. */
export function countsOf(text: string, pool = 'main'): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of nonZero(text, 'db_queries_total')) {
    const [, operation, name, value] = /operation="(\w+)",pool="(\w+)"} (\d+)/.exec(line)!
    if (name === pool) counts[operation!] = Number(value)
  }
  return counts
}

export async function repeat(run: (index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; index < TIMES; index += 1) await run(index)
}

/** Runs it {@link TIMES} times, or as many as given, `width` at a time. */
export async function repeatAtOnce(width: number, run: () => Promise<unknown>, times = TIMES): Promise<void> {
  let left = times
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (left-- > 0) await run()
    }),
  )
}

/** Calls with a callback. Fails when the call returns something: pg returns undefined. */
export function called(
  t: Test,
  call: (callback: (error: unknown, result: unknown) => void) => unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const returned = call((error, result) => (error ? reject(error) : resolve(result)))
    if (returned !== undefined) t.fail('a call with a callback returned something')
  })
}

export async function rejectsWith(t: Test, promise: Promise<unknown>, code: string): Promise<void> {
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
