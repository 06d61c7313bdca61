import { assertDocumented, readValue } from '@data20/dev-services'
import fastifyPostgres from '@fastify/postgres'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { dbMetrics } from '../../src/index.ts'
import { build, called, connectionString, countsOf, nonZero, rejectsWith, repeat, scrape, TIMES } from '../helpers.ts'

/** Uses each method of the decorator, and both pools. */
async function useEveryWay(t: Test, app: FastifyInstance): Promise<void> {
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
}

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

      await useEveryWay(t, app)

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
        readValue(text, 'db_connection_wait_seconds_count{pool="default",result="acquired"}'),
        8 * TIMES,
        'app.pg.connect waits too',
      )
      t.equal(readValue(text, 'db_connection_wait_seconds_count{pool="reports",result="acquired"}'), 2 * TIMES)
    })
  }
})

t.test('a query of app.pg that never got a connection counts', async (t) => {
  const app = await build(t)
  await app.register(fastifyPostgres, { connectionString: 'postgres://postgres@127.0.0.1:1/postgres' })
  await app.ready()

  await rejectsWith(t, app.pg.query('SELECT 1'), 'ECONNREFUSED')

  t.strictSame(countsOf(await scrape(app), 'default'), { SELECT: 1 })
  assertDocumented(t, {
    library: '@fastify/postgres',
    counted: '`pg.query`, `pg.connect`, `pg.transact` and the route option `pg.transact`, of named databases too',
  })
})
