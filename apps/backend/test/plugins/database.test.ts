import { startPostgres } from '@data20/dev-services'
import t from 'tap'
import { build, enqueue, find, readValue, run, temporaryFolder, until, untilEnded } from '../helpers.ts'

t.test('a database that is down is reported within seconds, and is used again when it is back', async (t) => {
  const server = await startPostgres({ directory: temporaryFolder(t, 'postgres'), durable: false })
  t.teardown(() => server.stop())
  const app = await build(t, { DATABASE_URL: server.url, RECONCILE_MS: '300', CACHE_MAX_BYTES: '0' })
  const before = await enqueue(app, { tool: 'document_stats' })
  t.match(await untilEnded(app, before), { status: 'completed' })
  t.equal(await readValue(app, 'db_up{pool="default"}'), 1)

  await server.kill()

  const start = Date.now()
  const answers = await Promise.all([
    run(app, { tool: 'document_stats', mode: 'queued' }),
    app.inject(`/api/runs/${before}`),
    app.inject('/api/runs'),
  ])
  for (const answer of answers)
    t.match(answer.json(), { statusCode: 503, code: 'DATABASE_UNAVAILABLE', message: String })
  t.match((await app.inject('/health/ready')).json(), { statusCode: 503, code: 'NOT_READY', message: /database/ })
  t.equal((await app.inject('/health/live')).statusCode, 200)
  t.match((await run(app, { tool: 'document_stats' })).json(), { status: 'completed' }, 'inline runs go on')
  // The pool waits for two seconds; a busy machine may take longer.
  t.ok(Date.now() - start < 30_000, `all of it took ${Date.now() - start} ms`)
  t.equal(await readValue(app, 'db_up{pool="default"}'), 0)
  t.ok((await readValue(app, 'db_queries_total{operation="INSERT",pool="default"}')) >= 2)

  await server.restart()

  await until('the backend to be ready', async () => (await app.inject('/health/ready')).statusCode === 200)
  t.match(await find(app, before), { status: 'completed' })
  t.match(await untilEnded(app, await enqueue(app, { tool: 'document_stats' })), { status: 'completed' })
  t.equal(await readValue(app, 'db_up{pool="default"}'), 1)
})
