import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import {
  alertmanager,
  type Service,
  startAlertmanager,
  startPostgres,
  startPrometheus,
  startRedis,
  temporaryFolder,
  toolOrSkip,
  until,
} from '../src/index.ts'
import { ALERTMANAGER_CONFIG, askPostgres, askRedis, EXPOSITION, hasEnded, setEnvironment } from './helpers.ts'

t.test('postgres: kill and restart keep what was committed, stop deletes the temporary data', async (t) => {
  setEnvironment(t, { DATABASE_URL: undefined })
  const server = await toolOrSkip(t, () => startPostgres({ maxConnections: 20, durable: false }))
  if (!server) return
  t.teardown(() => server.stop())
  const data = await askPostgres(server.url, 'show data_directory')
  await askPostgres(server.url, 'create table kept as select 42 as value')
  await askPostgres(server.url, 'checkpoint')

  await server.kill()
  t.ok(hasEnded(server.pid))
  await server.restart()

  t.equal(await askPostgres(server.url, 'select value from kept'), 42)
  t.equal(await askPostgres(server.url, 'show max_connections'), '20')
  await server.stop()
  t.ok(hasEnded(server.pid))
  t.notOk(existsSync(String(data)))
})

t.test('a service that the environment names is used, and is not ours to kill', async (t) => {
  setEnvironment(t, { DATABASE_URL: 'postgres://elsewhere/db', REDIS_URL: 'redis://elsewhere' })
  const services: Service[] = [await startPostgres(), await startRedis()]
  t.same(
    services.map(({ url, source, pid }) => ({ url, source, pid })),
    [
      { url: 'postgres://elsewhere/db', source: 'DATABASE_URL', pid: undefined },
      { url: 'redis://elsewhere', source: 'REDIS_URL', pid: undefined },
    ],
  )
  await t.rejects(services[0]!.kill(), /Expected to kill a service of this process, got .* DATABASE_URL/)
  await t.rejects(services[1]!.restart(), /Expected to restart a service of this process, got .* REDIS_URL/)
  await Promise.all(services.map((service) => service.stop()))
})

t.test('redis: an append-only file keeps the data over kill and restart', async (t) => {
  const directory = temporaryFolder(t, 'dev-services')
  const server = await toolOrSkip(t, () => startRedis({ directory, appendOnly: true }))
  if (!server) return
  t.teardown(() => server.stop())
  t.match(await askRedis(server.url, 'CONFIG GET maxmemory-policy'), /noeviction/)
  t.match(await askRedis(server.url, 'CONFIG GET bind'), /127\.0\.0\.1$/)
  t.equal(await askRedis(server.url, 'SET kept 42'), '+OK')
  const { pid, url } = server

  await server.kill()
  t.ok(hasEnded(pid))
  await t.rejects(askRedis(url, 'PING'), { code: 'ECONNREFUSED' })
  await server.restart()

  t.equal(server.url, url)
  t.not(server.pid, pid)
  t.equal(await askRedis(url, 'GET kept'), '$2\r\n42')
  await server.stop()
  t.ok(hasEnded(server.pid))
})

t.test('redis: without one the data are in memory', async (t) => {
  setEnvironment(t, { REDIS_URL: undefined })
  const server = await toolOrSkip(t, () => startRedis())
  if (!server) return
  t.teardown(() => server.stop())
  await askRedis(server.url, 'SET gone 42')
  await server.restart()
  t.equal(await askRedis(server.url, 'GET gone'), '$-1')
})

t.test('prometheus scrapes and answers', async (t) => {
  const target = createServer((_request, response) => {
    response.setHeader('content-type', 'text/plain; version=0.0.4').end(EXPOSITION)
  })
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  t.teardown(() => target.close().closeAllConnections())
  const { port } = target.address() as AddressInfo
  const config = `
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: little
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
`
  const server = await toolOrSkip(t, () => startPrometheus({ config }))
  if (!server) return
  t.teardown(() => server.stop())

  await until('a scrape', async () => (await server.query('up')).length > 0, 20_000)

  const labels = { instance: `127.0.0.1:${port}`, job: 'little' }
  t.same(await server.query('up'), [{ labels: { __name__: 'up', ...labels }, value: 1 }])
  t.same(await server.query('http_requests_total * 2'), [{ labels: { ...labels, status: '200' }, value: 6 }])
  t.same(await server.query('-1 / scalar(vector(0))'), [{ labels: {}, value: -Infinity }])
  t.match(await server.targets(), [{ labels, health: 'up', lastError: '' }])
  await t.rejects(server.query('rate('), /Prometheus answered 400: .*parse error/)
  await server.stop()
  t.ok(hasEnded(server.pid))
})

t.test('alertmanager becomes ready', async (t) => {
  const server = await toolOrSkip(t, () => startAlertmanager({ config: ALERTMANAGER_CONFIG }))
  if (!server) return
  t.teardown(() => server.stop())
  const status = await fetch(`${server.url}/api/v2/status`)
  t.match(await status.json(), { cluster: { status: 'disabled' } })
  await server.stop()
  t.ok(hasEnded(server.pid))
})

t.test('a service that does not start says why', async (t) => {
  const tool = await toolOrSkip(t, alertmanager)
  if (!tool) return
  await t.rejects(startAlertmanager({ config: 'route: {}\n', binary: tool }), /did not become ready.*\n?.*route/s)
})
