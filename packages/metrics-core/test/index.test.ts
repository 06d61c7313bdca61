import type { AddressInfo } from 'node:net'
import { freePort, readValue } from '@data20/dev-services'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { type Metrics, type MetricsCoreOptions, metricsCore } from '../src/index.ts'
import { ensureMetrics } from '../src/plugin.ts'
import { CLIENTS } from './clients.ts'
import { build, observeCollections, runFixture, scrape } from './helpers.ts'

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

t.test('wrong options fail at registration and say what was expected', async (t) => {
  const wrong: Array<[object, RegExp]> = [
    [{ path: 'metrics' }, /^Expected option `path` to be a path that begins with \/, or false, got metrics$/],
    [{ maxSeries: -1 }, /`maxSeries` to be a number ≥ 0, got -1/],
    [{ maxSeries: NaN }, /`maxSeries`/],
    [{ collectorTimeoutMs: 0 }, /`collectorTimeoutMs` to be a number > 0, at most 2147483647, got 0/],
    [{ collectorTimeoutMs: Infinity }, /`collectorTimeoutMs`/],
    [{ maxConcurrentScrapes: 0 }, /`maxConcurrentScrapes` to be a number ≥ 1, got 0/],
    [{ auth: {} }, /`auth` to be \{ bearer \} or \{ username, password \}/],
    [{ auth: { bearer: undefined } }, /`auth`/],
    [{ auth: { bearer: '' } }, /`auth`/],
    [{ auth: { bearer: 'secret\n' } }, /^Expected option `auth.bearer` to be printable ASCII .* got another string$/],
    [{ auth: { username: 'a', password: undefined } }, /`auth`/],
    [{ auth: { username: 'a:b', password: 'c' } }, /`auth`/],
    [{ auth: null }, /`auth`/],
    [{ labels: { 'not-a-label': 'x' } }, /Expected a label name that Prometheus accepts, got not-a-label/],
  ]
  for (const [options, message] of wrong) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(
      async () => app.register(metricsCore, options as MetricsCoreOptions),
      { message },
      JSON.stringify(options),
    )
  }
  const app = Fastify()
  t.teardown(() => app.close())
  const unset = { path: undefined, maxSeries: undefined, auth: undefined, labels: undefined, listen: undefined }
  await app.register(metricsCore, unset as unknown as MetricsCoreOptions)
  t.equal((await app.inject('/metrics')).statusCode, 200, 'an undefined option has its default')
})

t.test('an option that does not exist fails with the name that is meant, and never opens the endpoint', async (t) => {
  const cases: Array<[options: object, meant: RegExp]> = [
    [{ maxseries: 3 }, /got `maxseries`; did you mean `maxSeries`\?/],
    [{ Auth: { bearer: 'x' } }, /did you mean `auth`/],
    [{ authentication: { bearer: 'secret' } }, /did you mean `auth`/],
    [{ autth: { bearer: 'secret' } }, /did you mean `auth`/],
    [{ endpoint: '/internal' }, /did you mean `path`/],
    [{ prefix: '/internal' }, /did you mean `path`/],
    [{ registers: [] }, /did you mean `registry`/],
    [{ colour: 'red' }, /it has registry, path, defaultMetrics/],
    [{ app: { name: 'a', verison: '1' } }, /option of app, got `verison`; did you mean `version`/],
    [{ listen: { port: 0, hostname: '::' } }, /option of listen, got `hostname`; did you mean `host`/],
  ]
  for (const [options, message] of cases) {
    const app = Fastify()
    await t.rejects(async () => void (await app.register(metricsCore, options)), {
      code: 'METRICS_ERR_UNKNOWN_OPTION',
      message,
    })
    await app.close()
  }
  const wrong: object[] = [
    ...[{ defaultMetrics: { enabled: false } }, { cluster: 'yes' }, { labels: { a: {} } }, { labels: ['a'] }],
    ...[{ listen: 9100 }, { listen: {} }, { listen: { port: 'x' } }, { listen: { port: 65_536 } }],
    ...[{ registry: {} }, { registry: null }, { app: 'name' }, { preHandler: 'check' }, { auth: 'secret' }],
  ]
  for (const options of wrong) {
    const app = Fastify()
    await t.rejects(
      async () => void (await app.register(metricsCore, options)),
      { code: 'METRICS_ERR_OPTION' },
      JSON.stringify(options),
    )
    await app.close()
  }
  // Fastify's own, and options that are not given.
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { logLevel: 'warn', maxSeries: undefined, unknown: undefined } as object)
})

t.test('a decorator or a route of somebody else is named', async (t) => {
  const decorated = Fastify()
  decorated.decorate('metrics', { count: 1 } as never)
  await t.rejects(async () => void (await decorated.register(metricsCore)), { code: 'METRICS_ERR_DECORATOR' })
  await t.rejects(ensureMetrics(decorated), { code: 'METRICS_ERR_DECORATOR' })
  const routed = Fastify()
  routed.get('/metrics', async () => 'mine')
  await t.rejects(async () => void (await routed.register(metricsCore)), {
    code: 'METRICS_ERR_OPTION',
    message: /`path`.*\/metrics/,
  })
  const { metrics } = await build(t)
  t.throws(() => metrics.counter({ name: 'c_total', help: 'C.', labelNames: 'abc' as never }), {
    code: 'METRICS_ERR_OPTION',
  })
})

t.test('errors of callbacks are counted by plugin, and the first of each plugin is logged', async (t) => {
  const logs: string[] = []
  const app = Fastify({ logger: { level: 'error', stream: { write: (line: string) => void logs.push(line) } } })
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false })
  app.metrics.callbackError('http', new Error('first'))
  app.metrics.callbackError('http', new Error('second'))
  app.metrics.callbackError('db', 'no error at all')
  const text = await scrape(app)
  t.equal(readValue(text, 'metrics_errors_total{plugin="http"}'), 2)
  t.equal(readValue(text, 'metrics_errors_total{plugin="db"}'), 1)
  t.match(logs, [/first/, /"plugin":"db"/])
  t.equal(logs.length, 2)
})

for (const [name, client] of Object.entries(CLIENTS)) {
  t.test(`${name}: a registry outlives its application, and the next one goes on counting in it`, async (t) => {
    const registry = new client.Registry()
    const first = await build(t, { registry, defaultMetrics: true, labels: { app: 'first' } })
    const counter = first.metrics.counter({ name: 'c_total', help: 'C.' })
    counter.inc(2)
    const cpu = readValue(await scrape(first), 'process_cpu_seconds_total{app="first"}')!
    first.metrics.collector('of the first', () => {})
    await first.close()

    const second = await build(t, { registry, defaultMetrics: true, labels: { app: 'second' } })
    t.equal(second.metrics.counter({ name: 'c_total', help: 'C.' }), counter)
    const text = await scrape(second)
    t.match(text, /^c_total\{app="second"\} 2$/m)
    t.notMatch(text, 'of the first')
    const again = readValue(text, 'process_cpu_seconds_total{app="second"}')!
    t.ok(
      again >= cpu && again <= (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
      'nothing is counted twice',
    )
    t.equal(readValue(text, 'metrics_collector_success{app="second",collector="process"}'), 1)
  })

  t.test(`${name}: two applications share a registry, each with its collectors`, async (t) => {
    const registry = new client.Registry()
    const second = await build(t, { registry, defaultMetrics: true, labels: { app: 'second' } })
    second.metrics.counter({ name: 'c_total', help: 'C.' }).inc(2)
    const third = await build(t, { registry, defaultMetrics: true, labels: { app: 'third' } })
    const level = second.metrics.gauge({ name: 'level', help: 'L.' })
    second.metrics.collector('level', () => level.inc())
    const collections = observeCollections(t, third)
    const before = await collections()
    for (let round = 0; round < 200_000; round += 1) new Array(100).fill(round)
    const after = await collections()
    t.equal(after.counted - before.counted, after.seen - before.seen, 'a garbage collection is counted once for both')
    const levelBefore = level.labels().value
    t.equal(
      readValue(await scrape(third), 'level{app="third"}'),
      levelBefore + 1,
      'the collectors of the other application run',
    )
    await second.close()
    t.match(await scrape(third), /^c_total\{app="third"\} 2$/m)
    t.equal(readValue(await scrape(third), 'metrics_collector_success{app="third",collector="process"}'), 1)
    const stillBefore = await collections()
    for (let round = 0; round < 200_000; round += 1) new Array(100).fill(round)
    const stillAfter = await collections()
    t.equal(
      stillAfter.counted - stillBefore.counted,
      stillAfter.seen - stillBefore.seen,
      'the application that stays goes on counting',
    )
  })
}
