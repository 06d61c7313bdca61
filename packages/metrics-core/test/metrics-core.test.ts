import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PerformanceObserver, performance } from 'node:perf_hooks'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort, openmetricsParser, readValue, runTool, toolOrSkip } from '@data20/dev-services'
import * as successor from '@prometheus-io/client'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import * as promClient from 'prom-client'
import t, { type Test } from 'tap'
import { toPortable } from '../src/cluster/aggregate.ts'
import { type Metrics, type MetricsCoreOptions, metricsCore } from '../src/index.ts'
import { ensureMetrics } from '../src/plugin.ts'

const CLIENTS = { 'prom-client': promClient, '@prometheus-io/client': successor as unknown as typeof promClient }
/** The new client's cluster file calls iterator helpers, which Node 22 brought. */
const hasIteratorHelpers = 'map' in Object.getPrototypeOf(Object.getPrototypeOf([].values()))
/** A child process is no part of tap's accounts. */
const { NODE_OPTIONS, ...env } = process.env

async function build(t: Test, options: MetricsCoreOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false, app: { name: 'test', version: '1' }, ...options })
  return app
}

async function scrape(app: FastifyInstance, headers: Record<string, string> = {}): Promise<string> {
  const { body } = await app.inject({ url: '/metrics', headers })
  return body
}

async function runFixture(
  name: string,
  ...args: string[]
): Promise<{ stdout: string; stderr: string; code: number | null }> {
  const script = fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
  const child = spawn(process.execPath, [script, ...args], { env, timeout: 60_000 })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { stdout, stderr, code }
}

type FixtureRun = ReturnType<typeof runFixture>
let clusterRuns: Map<string, FixtureRun> | undefined

/** The clusters of all clients run side by side: most of their time they wait. */
function runClusters(name: string): FixtureRun {
  clusterRuns ??= new Map(
    Object.keys(CLIENTS).map((client) => [
      client,
      runFixture('cluster.mjs', client, canAggregateClusters(client) ? 'aggregator' : ''),
    ]),
  )
  return clusterRuns.get(name)!
}

function canAggregateClusters(name: string): boolean {
  return name === 'prom-client' || hasIteratorHelpers
}

t.test('the names, types, labels and help texts of our own metrics are these', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const { metrics } = app
  metrics.callbackError('test', new Error('once'))
  metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  metrics.collector('nothing', () => {})
  const first = await scrape(app)
  const text = await scrape(app)
  const own = text.match(/^# HELP (metrics_|app_).*\n# TYPE .*\n.*$/gm)!.map((block) => {
    const [, name, help, type, labels] = /^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)\n[^{ ]+(?:\{(.*)\})?/.exec(block)!
    return [name, type, [...(labels ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label).join(), help].join(' | ')
  })
  t.same(own.sort(), [
    'app_info | gauge | name,node_version,version | Name and version of the application, and the Node.js version; always 1.',
    'metrics_collector_duration_seconds | gauge | collector | Duration of the last run of a collector, at most its deadline.',
    'metrics_collector_last_success_timestamp_seconds | gauge | collector | Time of the last success of a collector in seconds since the epoch; its values are as old as that.',
    'metrics_collector_success | gauge | collector | Whether the last run of a collector succeeded before its deadline.',
    "metrics_errors_total | counter | plugin | Errors thrown by the application's own callbacks, by the plugin that called them.",
    'metrics_scrape_duration_seconds | histogram | le | Time from a scrape request to its exposition, collectors included.',
    'metrics_scrapes_total | counter | status | Scrapes by HTTP status of the response.',
    'metrics_series | gauge |  | Series in the last exposition.',
    'metrics_series_overflow_total | counter | metric | Observations on the overflow series of a metric that has reached its cardinality limit.',
  ])
  const defaults = [...text.matchAll(/^# TYPE ((?:nodejs|process)_\S+) (\S+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  )
  const linux =
    process.platform === 'linux'
      ? [
          'process_heap_bytes gauge',
          'process_max_fds gauge',
          'process_open_fds gauge',
          'process_virtual_memory_bytes gauge',
        ]
      : []
  t.same(
    defaults.sort(),
    [
      ...['nodejs_active_handles gauge', 'nodejs_active_requests gauge', 'nodejs_active_resources gauge'],
      ...['max', 'mean', 'min', 'p50', 'p90', 'p99', 'stddev'].map(
        (what) => `nodejs_eventloop_lag_${what}_seconds gauge`,
      ),
      ...[
        'nodejs_eventloop_lag_seconds gauge',
        'nodejs_eventloop_utilization_ratio gauge',
        'nodejs_external_memory_bytes gauge',
      ],
      ...[
        'nodejs_gc_duration_seconds histogram',
        'nodejs_heap_size_limit_bytes gauge',
        'nodejs_heap_size_total_bytes gauge',
      ],
      ...['nodejs_heap_size_used_bytes gauge', 'nodejs_heap_space_size_available_bytes gauge'],
      ...[
        'nodejs_heap_space_size_total_bytes gauge',
        'nodejs_heap_space_size_used_bytes gauge',
        'nodejs_version_info gauge',
      ],
      ...[
        'process_cpu_seconds_total counter',
        'process_cpu_system_seconds_total counter',
        'process_cpu_user_seconds_total counter',
      ],
      ...['process_resident_memory_bytes gauge', 'process_start_time_seconds gauge', ...linux],
    ].sort(),
  )
  t.equal(readValue(text, `app_info{name="test",node_version="${process.version}",version="1"}`), 1)
  t.equal(
    readValue(text, 'metrics_series'),
    first.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length,
  )
})

t.test('the default metrics are true of this process', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const start = performance.now()
  while (performance.now() - start < 50);
  const text = await scrape(app)
  const { user, system } = process.cpuUsage()
  const total = readValue(text, 'process_cpu_seconds_total')!
  t.ok(total > 0.05 && total <= (user + system) / 1e6, `${total} s`)
  const near = (series: string, expected: number) => {
    const value = readValue(text, series)!
    t.ok(value > expected * 0.7 && value < expected * 1.3, `${series} ${value}, near ${expected}`)
  }
  near('process_resident_memory_bytes', process.memoryUsage.rss())
  near('nodejs_heap_size_total_bytes', process.memoryUsage().heapTotal)
  near('process_start_time_seconds', Date.now() / 1000 - process.uptime())
  const utilization = readValue(text, 'nodejs_eventloop_utilization_ratio')!
  t.ok(utilization > 0 && utilization <= 1, `${utilization}`)
})

t.test('every garbage collection is counted', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  let seen = 0
  const observer = new PerformanceObserver((list) => {
    seen += list.getEntries().length
  })
  observer.observe({ entryTypes: ['gc'] })
  t.teardown(() => observer.disconnect())
  const counted = async () => {
    // Observers are called in a later turn.
    for (let round = 0; round < 5; round += 1) await turn()
    const { body } = await app.metrics.expose({ names: ['nodejs_gc_duration_seconds'] })
    const counts = body.toString().matchAll(/^nodejs_gc_duration_seconds_count\{.*\} (\d+)$/gm)
    return { seen, counted: [...counts].reduce((sum, [, count]) => sum + Number(count), 0) }
  }
  const before = await counted()
  let garbage: unknown[] = []
  for (let round = 0; round < 300_000; round += 1) garbage = new Array(100).fill(round)
  const after = await counted()
  t.ok(after.seen - before.seen > 5 && garbage.length > 0, `${after.seen - before.seen} collections`)
  t.equal(after.counted - before.counted, after.seen - before.seen)
})

t.test('where there is no /proc the default metrics do without it', async (t) => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!
  Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' })
  const app = await build(t, { defaultMetrics: true }).finally(() =>
    Object.defineProperty(process, 'platform', platform),
  )
  const text = await scrape(app)
  t.same(text.match(/^metrics_collector_success\{.*\} 0$/gm), null)
  t.notMatch(text, /process_(open_fds|max_fds|virtual_memory_bytes|heap_bytes)/)
  t.ok(readValue(text, 'process_resident_memory_bytes'))
})

t.test(
  'collectors that throw, hang or are late leave the scrape complete, in time, and with their last good values',
  async (t) => {
    const logs: Array<{ level: number; msg: string; collector?: string }> = []
    const app = Fastify({
      logger: { level: 'info', stream: { write: (line: string) => void logs.push(JSON.parse(line)) } },
    })
    t.teardown(() => app.close())
    await app.register(metricsCore, { defaultMetrics: false, collectorTimeoutMs: 80 })
    const { metrics } = app
    let mode: 'good' | 'bad' = 'good'
    let value = 1
    const signals: AbortSignal[] = []
    const add = (name: string, bad: (set: () => void) => void | Promise<void>) => {
      const gauge = metrics.gauge({ name, help: 'G.' })
      const set = () => gauge.set(value)
      metrics.collector(name, (signal) => {
        signals.push(signal)
        return mode === 'good' ? set() : bad(set)
      })
    }
    add('throws', () => {
      throw new Error('broken')
    })
    add('rejects', async () => {
      await turn()
      throw new Error('broken')
    })
    add('hangs', () => new Promise(() => {}))
    add('late', (set) => sleep(200).then(set))
    add('fine', (set) => set())
    metrics.collector('fine', () => {})
    const state = (text: string, collector: string) => [
      readValue(text, collector),
      readValue(text, `metrics_collector_success{collector="${collector}"}`),
    ]
    const age = (text: string, collector: string) =>
      Date.now() / 1000 - readValue(text, `metrics_collector_last_success_timestamp_seconds{collector="${collector}"}`)!

    const good = await scrape(app)
    for (const name of ['throws', 'rejects', 'hangs', 'late', 'fine']) t.same(state(good, name), [1, 1], name)
    t.equal(readValue(good, 'metrics_collector_success{collector="fine_2"}'), 1, 'a name that is taken gets a number')

    mode = 'bad'
    value = 2
    await sleep(20)
    const start = performance.now()
    const bad = await scrape(app)
    const milliseconds = performance.now() - start
    t.ok(milliseconds < 1000, `${milliseconds} ms`)
    for (const name of ['throws', 'rejects', 'hangs', 'late']) {
      t.same(state(bad, name), [1, 0], name)
      t.ok(age(bad, name) >= 0.015, `the values of ${name} are ${age(bad, name)} s old`)
    }
    t.same(state(bad, 'fine'), [2, 1])
    for (const name of ['hangs', 'late']) {
      const seconds = readValue(bad, `metrics_collector_duration_seconds{collector="${name}"}`)!
      t.ok(seconds >= 0.079 && seconds < 0.9, `${name} took ${seconds} s`)
    }
    t.ok(
      signals.slice(5).every((signal) => signal.aborted),
      'all were told to stop',
    )
    t.match(bad, /^metrics_scrapes_total\{status="200"\} 1$/m)

    await sleep(200)
    t.equal((await scrape(app)).match(/^late (\d)$/m)?.[1], '2', 'what came late is exposed by the next scrape')
    const failures = logs
      .filter(({ level }) => level >= 40)
      .map(({ collector }) => collector)
      .sort()
    t.same(failures, ['hangs', 'late', 'rejects', 'throws'], 'each is logged once')
    t.same(
      logs.filter(({ msg }) => /request/.test(msg)),
      [],
      'scrapes are not logged',
    )

    mode = 'good'
    t.same(state(await scrape(app), 'throws'), [2, 1], 'and recovers')
  },
)

t.test('the deadline of collectors is below the timeout that the scraper announces', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 10_000 })
  const budgets: number[] = []
  app.metrics.collector('hangs', (signal, budgetMs) => {
    budgets.push(budgetMs)
    if (budgets.length > 1) return
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
  })
  const start = performance.now()
  const text = await scrape(app, { 'x-prometheus-scrape-timeout-seconds': '0.1' })
  t.ok(performance.now() - start < 5000, `${performance.now() - start} ms`)
  t.match(text, 'metrics_collector_success{collector="hangs"} 0')
  for (const header of ['', '0', '-1', 'soon', '60']) {
    await scrape(app, { 'x-prometheus-scrape-timeout-seconds': header })
  }
  t.same(budgets, [90, 10_000, 10_000, 10_000, 10_000, 10_000])
})

t.test('concurrent scrapes share one collection, and none waits longer than its own deadline', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 400 })
  const collections = { quick: 0, slow: 0 }
  app.metrics.collector('quick', () => {
    collections.quick += 1
  })
  app.metrics.collector('slow', async () => {
    collections.slow += 1
    await sleep(60)
  })
  const texts = await Promise.all(Array.from({ length: 20 }, () => scrape(app)))
  t.ok(texts.every((text) => text.includes('metrics_collector_success{collector="slow"} 1')))
  t.same(collections, { quick: 1, slow: 1 })

  app.metrics.collector('hangs', () => new Promise(() => {}))
  const order: string[] = []
  const patient = scrape(app).then(() => order.push('patient'))
  await turn()
  await scrape(app, { 'x-prometheus-scrape-timeout-seconds': '0.05' }).then(() => order.push('hasty'))
  await patient
  t.same(order, ['hasty', 'patient'])
})

t.test('a collector that is removed, even while it runs, runs no more and leaves no series', async (t) => {
  const app = await build(t)
  let runs = 0
  let end = () => {}
  const remove = app.metrics.collector('gone', () => {
    runs += 1
    return new Promise((resolve) => {
      end = resolve
    })
  })
  const scraping = scrape(app)
  while (runs === 0) await turn()
  remove()
  remove()
  end()
  t.notMatch(await scraping, 'collector="gone"')
  t.notMatch(await scrape(app), 'collector="gone"')
  t.equal(runs, 1)
})

t.test('name[] filters, and an empty one does not', async (t) => {
  const app = await build(t)
  app.metrics.counter({ name: 'a_total', help: 'A.' })
  app.metrics.gauge({ name: 'b', help: 'B.' })
  const names = async (query: string) =>
    [...(await app.inject(`/metrics${query}`)).body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
  t.same(await names('?name[]=b'), ['b'])
  t.same(await names('?name[]=a_total&name%5B%5D=b&name[]=none'), ['a_total', 'b'])
  t.same(await names('?name[]=none'), [])
  const all = await names('')
  t.ok(all.length > 5)
  for (const query of ['?name[]=', '?name[]', '?', '?name=b', '?x=1']) t.same(await names(query), all, query)
  const { body } = await app.inject({
    url: '/metrics?name[]=none',
    headers: { accept: 'application/openmetrics-text' },
  })
  t.equal(body, '# EOF\n')
})

t.test('beyond maxConcurrentScrapes a scrape is answered 503', async (t) => {
  const app = await build(t, { maxConcurrentScrapes: 2 })
  let release = () => {}
  app.metrics.collector(
    'held',
    () =>
      new Promise((resolve) => {
        release = resolve
      }),
  )
  const held = [app.inject('/metrics'), app.inject('/metrics')]
  await sleep(20)
  const refused = await app.inject('/metrics')
  t.equal(refused.statusCode, 503)
  t.match(refused.headers, { 'retry-after': '1', 'content-type': 'application/json; charset=utf-8' })
  t.match(refused.json(), { statusCode: 503, error: 'Service Unavailable' })
  release()
  for (const { statusCode } of await Promise.all(held)) t.equal(statusCode, 200)
  const last = app.inject('/metrics')
  await sleep(20)
  release()
  t.match(
    (await last).body,
    /^metrics_scrapes_total\{status="200"\} 2\n.*\n.*\nmetrics_scrapes_total\{status="503"\} 1$/m,
  )
})

t.test('with a bearer token only its holder may scrape', async (t) => {
  const app = await build(t, { auth: { bearer: 's3cret token' } })
  const status = async (authorization?: string) =>
    (await app.inject({ url: '/metrics', headers: authorization === undefined ? {} : { authorization } })).statusCode
  t.equal(await status('Bearer s3cret token'), 200)
  t.equal(await status('bearer  s3cret token '), 200)
  for (const wrong of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer s3cret',
    'Bearer s3cret tokem',
    's3cret token',
    'Basic s3cret token',
  ]) {
    t.equal(await status(wrong), 401, wrong ?? 'no header')
  }
  const refused = await app.inject('/metrics')
  t.match(refused.headers, {
    'www-authenticate': 'Bearer realm="metrics"',
    'content-type': 'application/json; charset=utf-8',
  })
  t.match(refused.json(), { statusCode: 401, error: 'Unauthorized' })
  t.match(
    (await app.inject({ url: '/metrics', headers: { authorization: 'Bearer s3cret token' } })).body,
    /^metrics_scrapes_total\{status="401"\} 9$/m,
  )
})

t.test('with basic credentials only their holder may scrape', async (t) => {
  const app = await build(t, { auth: { username: 'prömetheus', password: 'a:b ' } })
  const status = async (authorization: string) =>
    (await app.inject({ url: '/metrics', headers: { authorization } })).statusCode
  const encode = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  t.equal(await status(encode('prömetheus:a:b ')), 200)
  for (const wrong of ['prömetheus:a:b', 'prömetheus:', ':', 'other:a:b ', ''])
    t.equal(await status(encode(wrong)), 401, wrong)
  t.equal(await status(encode('prömetheus:a:b ').replace('Basic', 'Bearer')), 401)
  t.equal((await app.inject('/metrics')).headers['www-authenticate'], 'Basic realm="metrics"')
})

t.test('a preHandler decides after auth, and its refusals are counted', async (t) => {
  const app = await build(t, {
    auth: { bearer: 'x' },
    preHandler: async (request: FastifyRequest, reply: FastifyReply) => {
      if (request.headers['x-forbidden']) await reply.code(403).send('no')
    },
  })
  const authorization = 'Bearer x'
  t.equal((await app.inject({ url: '/metrics', headers: { 'x-forbidden': '1' } })).statusCode, 401)
  t.equal((await app.inject({ url: '/metrics', headers: { authorization, 'x-forbidden': '1' } })).statusCode, 403)
  t.match(await scrape(app, { authorization }), /^metrics_scrapes_total\{status="403"\} 1$/m)
})

t.test('an exposition that fails is answered and counted as 500, and the next one works', async (t) => {
  const app = await build(t)
  const { registry } = app.metrics
  const { getMetricsAsArray } = registry
  registry.getMetricsAsArray = () => {
    throw new Error('broken')
  }
  const { statusCode, headers } = await app.inject('/metrics')
  t.match([statusCode, headers['content-type']], [500, /json/])
  registry.getMetricsAsArray = getMetricsAsArray
  t.match(await scrape(app), /^metrics_scrapes_total\{status="500"\} 1$/m)
})

t.test('a scraper that hangs up is counted once and harms nobody', async (t) => {
  const app = await build(t)
  let release = () => {}
  let asked = () => {}
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  app.metrics.collector('held', () => {
    asked()
    return new Promise((resolve) => {
      release = resolve
    })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const request = get({ port: (app.server.address() as AddressInfo).port, path: '/metrics' }).on('error', () => {})
  await isAsked
  request.destroy()
  await sleep(20)
  release()
  await sleep(20)
  const next = app.inject('/metrics')
  await sleep(20)
  release()
  t.match((await next).body, /^metrics_scrapes_total\{status="200"\} 1$/m)
  t.match((await next).body, /^metrics_scrape_duration_seconds_count 1$/m)
})

t.test('the route is a GET at the path asked for, without HEAD, and marked as left out of HTTP metrics', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const routes: unknown[] = []
  app.addHook(
    'onRoute',
    ({ method, url, config, logLevel }) => void routes.push({ method, url, metrics: config?.metrics, logLevel }),
  )
  await app.register(metricsCore, { path: '/internal/prometheus', defaultMetrics: false })
  t.same(routes, [{ method: 'GET', url: '/internal/prometheus', metrics: false, logLevel: 'warn' }])
  t.equal((await app.inject('/internal/prometheus')).statusCode, 200)
  t.equal((await app.inject({ method: 'HEAD', url: '/internal/prometheus' })).statusCode, 404)
  t.equal((await app.inject('/metrics')).statusCode, 404)
})

t.test('without a path nothing is served, and expose() works', async (t) => {
  const app = await build(t, { path: false, listen: { port: await freePort() } })
  t.equal((await app.inject('/metrics')).statusCode, 404)
  t.match((await app.metrics.expose()).body.toString(), 'app_info')
})

t.test('on a port of its own the exposition comes and goes with the application', async (t) => {
  const port = await freePort()
  const app = await build(t, { listen: { port }, auth: { bearer: 'x' } })
  const url = `http://127.0.0.1:${port}/metrics`
  await t.rejects(fetch(url), 'before it is ready')
  await app.ready()
  const headers = { authorization: 'Bearer x', 'accept-encoding': 'gzip' }
  const response = await fetch(url, { headers })
  t.match([response.status, await response.text()], [200, 'app_info'])
  t.equal((await fetch(url)).status, 401)
  t.equal((await app.inject('/metrics')).statusCode, 404)
  await app.close()
  await t.rejects(fetch(url, { headers }), 'after it was closed')
})

t.test('a port that is taken fails ready()', async (t) => {
  const first = await build(t)
  await first.listen({ port: 0, host: '127.0.0.1' })
  const app = await build(t, { listen: { port: (first.server.address() as AddressInfo).port } })
  await t.rejects(async () => app.ready(), { code: 'EADDRINUSE' })
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
  t.same(promClient.register.getMetricsAsArray(), [])
  t.same(CLIENTS['@prometheus-io/client'].register.getMetricsAsArray(), [])
})

t.test('a second registration is the first one, unless it has options', async (t) => {
  const app = await build(t, { maxSeries: 7 })
  const { metrics } = app
  await app.register(metricsCore)
  t.equal(await ensureMetrics(app), metrics)
  t.equal(app.metrics, metrics)
  await t.rejects(async () => app.register(metricsCore, { maxSeries: 8 }), { code: 'METRICS_ERR_ALREADY_REGISTERED' })
  const bare = Fastify()
  t.teardown(() => bare.close())
  t.equal(await ensureMetrics(bare), bare.metrics)
  t.equal((await bare.inject('/metrics')).statusCode, 200)
})

t.test('registered in two contexts it stays in each', async (t) => {
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

t.test('wrong options fail at registration and say what was expected', async (t) => {
  const wrong: Array<[object, RegExp]> = [
    [{ path: 'metrics' }, /^Expected option `path` to be a path that begins with \/, got metrics$/],
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
  t.equal((await app.inject('/metrics')).statusCode, 200, 'what is undefined has its default')
})

for (const [name, client] of Object.entries(CLIENTS)) {
  t.test(`${name}: a registry outlives its application, and two applications can share it`, async (t) => {
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

    const third = await build(t, { registry, defaultMetrics: true, labels: { app: 'third' } })
    const level = second.metrics.gauge({ name: 'level', help: 'L.' })
    second.metrics.collector('level', () => level.inc())
    const collections = async () => {
      for (let round = 0; round < 5; round += 1) await turn()
      const names = ['nodejs_gc_duration_seconds']
      const { body } = await third.metrics.expose({ names })
      return [...body.toString().matchAll(/_count\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
    }
    let seen = 0
    const observer = new PerformanceObserver((list) => {
      seen += list.getEntries().length
    })
    observer.observe({ entryTypes: ['gc'] })
    t.teardown(() => observer.disconnect())
    const [before, seenBefore] = [await collections(), seen]
    for (let round = 0; round < 200_000; round += 1) new Array(100).fill(round)
    t.equal((await collections()) - before, seen - seenBefore, 'a collection is counted once for both')
    const levelBefore = level.labels().value
    t.equal(
      readValue(await scrape(third), 'level{app="third"}'),
      levelBefore + 1,
      'the collectors of the other application run',
    )
    await second.close()
    t.match(await scrape(third), /^c_total\{app="third"\} 2$/m)
    t.equal(readValue(await scrape(third), 'metrics_collector_success{app="third",collector="process"}'), 1)
    const [still, seenStill] = [await collections(), seen]
    for (let round = 0; round < 200_000; round += 1) new Array(100).fill(round)
    t.equal((await collections()) - still, seen - seenStill, 'the one that stays goes on counting')
  })

  t.test(`${name}: the primary of a cluster exposes all workers as one, whatever becomes of them`, async (t) => {
    const canAggregate = canAggregateClusters(name)
    if (!canAggregate)
      t.comment(`${name}'s own clusterMetrics() is left out: it needs Node 22, this is ${process.version}`)
    const { stdout, stderr, code } = await runClusters(name)
    t.match({ code, stderr }, { code: 0, stderr: '' }, 'the processes ended by themselves')
    const steps = new Map<string, { text: string; open: string; milliseconds: number }>()
    for (const line of stdout.trim().split('\n')) {
      const { step, ...result } = JSON.parse(line)
      steps.set(step, result)
    }
    const sums = {
      'c_total{shared="yes",worker=""}': 6,
      'c_total{shared="",worker="2"}': 2,
      their_total: 6,
      h_sum: 6,
      h_count: 3,
      'h_bucket{le="1.5"}': 1,
      'h_bucket{le="+Inf"}': 3,
    }
    const check = (step: string, expected: Record<string, number | undefined>) => {
      const { text, open } = steps.get(step)!
      for (const [series, value] of Object.entries(expected)) {
        t.equal(readValue(text, series), value, `${step}: ${series}`)
        t.equal(readValue(open, series), value)
      }
    }
    check('three workers', {
      ...sums,
      g_sum: 6,
      g_max: 3,
      g_min: 1,
      g_average: 2,
      g_omit: undefined,
      g_infinite: Infinity,
      'metrics_collector_success{collector="cluster"}': 1,
    })
    t.ok([1, 2, 3].includes(readValue(steps.get('three workers')!.text, 'g_first')!))
    t.equal(readValue(steps.get('three workers')!.text, 'g_collected'), 3, 'collectors of the workers ran')
    t.match(
      steps.get('three workers')!.open,
      /^c_total\{shared="yes",worker=""\} 6 # \{trace_id="[123]"\} [123] [\d.]+$/m,
    )
    const parser = await toolOrSkip(t, openmetricsParser)
    if (parser) t.match(await runTool(parser, [], { input: steps.get('three workers')!.open }), { code: 0, stderr: '' })

    if (canAggregate) {
      const { text } = steps.get('client')!
      const theirs = {
        'c_total{shared="yes",worker=""}': 6,
        their_total: 6,
        h_sum: 6,
        'h_bucket{le="1.5"}': 1,
        g_max: 3,
        g_min: 1,
        g_average: 2,
        g_sum: 6,
      }
      for (const [series, value] of Object.entries(theirs))
        t.equal(readValue(text, series), value, `clusterMetrics(): ${series}`)
    }
    check('worker 3 is silent', { ...sums, g_sum: 6, g_max: 3, 'metrics_collector_success{collector="cluster"}': 0 })
    t.ok(steps.get('worker 3 is silent')!.milliseconds < 1000, `${steps.get('worker 3 is silent')!.milliseconds} ms`)
    check('worker 3 is back', { ...sums, 'metrics_collector_success{collector="cluster"}': 1 })
    check('worker 2 was killed', {
      ...sums,
      g_sum: 4,
      g_max: 3,
      g_infinite: 0,
      'metrics_collector_success{collector="cluster"}': 1,
    })
    const later = { ...sums, 'c_total{shared="yes",worker=""}': 106 }
    check('worker 1 has closed', {
      ...later,
      g_sum: 4,
      'metrics_collector_success{collector="cluster"}': 1,
    })
    check('worker 1 has left', { ...later, g_sum: 3, g_min: 3 })
    check('worker 3 has left', { ...later, 'many_total{number="19999"}': 1, g_sum: undefined })
    const [hung, back] = ['worker 4 exits', 'the primary is back'].map((step) => [...steps.keys()].indexOf(step))
    t.ok(hung! > 0 && hung! < back!, 'a primary that hangs keeps no worker from closing')
  })
}

t.test('a worker sends labels as texts, since JSON has not all that a label can be', (t) => {
  const family = {
    name: 'level',
    help: 'L.',
    type: 'gauge',
    values: [{ labels: { id: 12n as never, no: true as never }, value: NaN }],
  }
  const [sample] = JSON.parse(JSON.stringify(toPortable(family, { shard: 3n as never }))).values
  t.strictSame(sample, { labels: { shard: '3', id: '12', no: 'true' }, value: 'NaN' })
  t.end()
})

t.test("the client's WorkerRegistry sums what applications in worker threads have counted", async (t) => {
  const { stdout, stderr, code } = await runFixture('threads.mjs')
  t.match({ stderr, code }, { stderr: '', code: 0 })
  const sums = { 'c_total{a="x"}': 3, 'h_bucket{le="1"}': 1, h_sum: 3, h_count: 2, g: 2 }
  for (const [series, value] of Object.entries(sums)) t.equal(readValue(stdout, series), value, series)
})

t.test('callbacks that throw are counted by plugin and logged once', async (t) => {
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

t.test('after close() no timer, observer, server or collector keeps the process alive', async (t) => {
  const start = performance.now()
  t.same(await runFixture('exit.mjs'), { stdout: 'closed\n', stderr: '', code: 0 })
  t.ok(performance.now() - start < 15_000)
})
