import type { AddressInfo } from 'node:net'
import { freePort } from '@data20/dev-services'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { type Metrics, metricsCore } from '../src/index.ts'
import { CLIENTS } from './clients.ts'
import { build, runFixture, scrape } from './helpers.ts'

t.test('a second registration without options changes nothing, and one with options fails', async (t) => {
  const app = await build(t, { maxSeries: 7 })
  const { metrics } = app
  await app.register(metricsCore)
  t.equal(app.metrics, metrics)
  await t.rejects(async () => app.register(metricsCore, { maxSeries: 8 }), { code: 'METRICS_ERR_ALREADY_REGISTERED' })
})

t.test('registrations in two encapsulated contexts stay apart', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const found: Metrics[] = []
  for (const prefix of ['/a', '/b']) {
    app.register(
      async (child) => {
        await child.register(metricsCore, { defaultMetrics: false })
        found.push(child.metrics)
        child.metrics.gauge({ name: 'g', help: 'G.', labelNames: ['at'] }).set({ at: prefix }, 1)
      },
      { prefix },
    )
  }
  await app.ready()
  t.not(found[0], found[1])
  t.notOk(app.hasDecorator('metrics'))
  t.same((await app.inject('/a/metrics')).body.match(/^g\{.*$/m)?.[0], 'g{at="/a"} 1')
  t.same((await app.inject('/b/metrics')).body.match(/^g\{.*$/m)?.[0], 'g{at="/b"} 1')
})

t.test('two applications in one process share nothing', async (t) => {
  const [one, two] = [await build(t, { maxSeries: 1 }), await build(t)]
  const make = ({ metrics }: FastifyInstance) => metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  for (const a of ['1', '2', '3']) make(one).inc({ a })
  let runs = 0
  one.metrics.collector('mine', () => {
    runs += 1
  })
  t.match(await scrape(two), /^metrics_series_overflow_total\{metric="c_total"\} 0$|^(?![\s\S]*c_total\{)/m)
  make(two).inc({ a: '9' })
  t.same((await scrape(two)).match(/^c_total.*$/gm), ['c_total{a="9"} 1'])
  t.notMatch(await scrape(two), 'collector="mine"')
  t.equal(runs, 0)
  t.same((await scrape(one)).match(/^c_total.*$/gm), ['c_total{a="1"} 1', 'c_total{a="__overflow__"} 2'])
  await one.close()
  t.match(await scrape(two), 'c_total{a="9"} 1')
  t.same(CLIENTS['prom-client']!.register.getMetricsAsArray(), [])
  t.same(CLIENTS['@prometheus-io/client']!.register.getMetricsAsArray(), [])
})

t.test('without a path nothing is served, and expose() still renders', async (t) => {
  const app = await build(t, { path: false, listen: { port: await freePort() } })
  t.equal((await app.inject('/metrics')).statusCode, 404)
  t.match((await app.metrics.expose()).body.toString(), 'app_info')
})

t.test('on a port of its own the exposition is served from ready() to close()', async (t) => {
  const port = await freePort()
  const app = await build(t, { listen: { port }, auth: { bearer: 'x' } })
  const url = `http://127.0.0.1:${port}/metrics`
  await t.rejects(fetch(url), 'before the application is ready')
  await app.ready()
  const headers = { authorization: 'Bearer x', 'accept-encoding': 'gzip' }
  const response = await fetch(url, { headers })
  t.match([response.status, await response.text()], [200, 'app_info'])
  t.equal((await fetch(url)).status, 401)
  t.equal((await app.inject('/metrics')).statusCode, 404)
  await app.close()
  await t.rejects(fetch(url, { headers }), 'after the application was closed')
})

t.test('a port that is taken fails ready()', async (t) => {
  const first = await build(t)
  await first.listen({ port: 0, host: '127.0.0.1' })
  const app = await build(t, { listen: { port: (first.server.address() as AddressInfo).port } })
  await t.rejects(async () => app.ready(), { code: 'EADDRINUSE' })
})

t.test('after close() no timer, observer, server or collector keeps the process alive', async (t) => {
  // Its collectors would keep it alive for 60 s.
  const start = performance.now()
  t.same(await runFixture('exit.mjs'), { stdout: 'closed\n', stderr: '', code: 0 })
  t.ok(performance.now() - start < 60_000)
})
