import { once } from 'node:events'
import { get, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { until } from '@data20/dev-services'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import { metricsCore } from '../../src/index.ts'
import { definitions } from '../../src/metrics.ts'
import { createPendingBodies } from '../../src/scrape/pending.ts'
import { build, createGate, type Gate, scrape } from '../helpers.ts'

t.test('name[] selects metrics by name, and an empty name[] selects all', async (t) => {
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

t.test('a scrape beyond maxConcurrentScrapes is answered with 503', async (t) => {
  let arrived = 0
  const preHandler = async () => {
    arrived += 1
  }
  const app = await build(t, { maxConcurrentScrapes: 2, collectorTimeoutMs: 60_000, preHandler })
  const gates: Gate[] = []
  app.metrics.collector('held', () => {
    gates.push(createGate())
    return gates.at(-1)!.opened
  })
  const held = [app.inject('/metrics'), app.inject('/metrics')]
  await until('both scrapes to arrive', () => arrived === 2 && gates.length === 1)
  // The handler of the second one follows its preHandler.
  await turn()
  const refused = await app.inject('/metrics')
  t.equal(refused.statusCode, 503)
  t.match(refused.headers, { 'retry-after': '1', 'content-type': 'application/json; charset=utf-8' })
  t.match(refused.json(), { statusCode: 503, error: 'Service Unavailable' })
  gates[0]!.open()
  for (const { statusCode } of await Promise.all(held)) t.equal(statusCode, 200)
  const last = app.inject('/metrics')
  await until('the last scrape to collect', () => gates.length === 2)
  gates[1]!.open()
  t.match(
    (await last).body,
    /^metrics_scrapes_total\{status="200"\} 2\n.*\n.*\nmetrics_scrapes_total\{status="503"\} 1$/m,
  )
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

t.test('an exposition that fails is answered and counted as 500, and the next one succeeds', async (t) => {
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

t.test('a scrape whose client hangs up is counted once and breaks nothing', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 60_000 })
  const gates: Gate[] = []
  app.metrics.collector('held', () => {
    gates.push(createGate())
    return gates.at(-1)!.opened
  })
  const scrapes = app.metrics.counter(definitions.scrapes)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const connected = once(app.server, 'connection')
  const request = get({ port: (app.server.address() as AddressInfo).port, path: '/metrics' }).on('error', () => {})
  const [connection] = (await connected) as [Socket]
  await until('the scrape to collect', () => gates.length === 1)
  const closed = once(connection, 'close')
  request.destroy()
  await closed
  gates[0]!.open()
  await until('the scrape to be counted', () => scrapes.labels('200').value === 1)
  const next = app.inject('/metrics')
  await until('the next scrape to collect', () => gates.length === 2)
  gates[1]!.open()
  t.match((await next).body, /^metrics_scrapes_total\{status="200"\} 1$/m)
  t.match((await next).body, /^metrics_scrape_duration_seconds_count 1$/m)
})

t.test('the route is a GET at the configured path, without HEAD, and excluded from the HTTP metrics', async (t) => {
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

t.test('with a bearer token only its holder can scrape', async (t) => {
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

t.test('with basic credentials only their holder can scrape', async (t) => {
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

t.test(
  'scrapers that do not read are cut when their responses exceed maxPendingBytes; others are served',
  async (t) => {
    const app = await build(t, { maxSeries: Infinity, maxPendingBytes: 50e6 })
    const gauge = app.metrics.gauge({ name: 'g', help: 'G.', labelNames: ['a', 'number'] })
    // More than the buffers of a connection hold.
    for (let number = 0; number < 20_000; number += 1) gauge.set({ a: 'x'.repeat(1000), number }, 1)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const connections = () => promisify(app.server.getConnections).call(app.server)
    const stalled: Socket[] = []
    t.teardown(() => {
      for (const socket of stalled) socket.destroy()
    })
    const scrapes = async () => {
      const { body } = await app.inject('/metrics?name[]=metrics_scrapes_total')
      return Number(/metrics_scrapes_total\{status="200"\} (\d+)/.exec(body)![1])
    }
    for (let count = 1; count <= 5; count += 1) {
      const before = await scrapes()
      const socket = connect(port, '127.0.0.1').pause()
      socket.on('error', () => {})
      socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
      stalled.push(socket)
      await until('the scrape to be answered', async () => (await scrapes()) > before + 1)
    }
    // A body has 20 MB, so two of them fit.
    await until('three of five to be cut', async () => (await connections()) === 2)
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } })
    t.equal(response.status, 200)
    t.match((await response.text()).slice(-2000), /\n$/, 'a scraper that reads gets the whole')
    const alone = await build(t, { maxPendingBytes: 0 })
    t.match(await scrape(alone), 'app_info', 'one body is sent in any case')
  },
)

t.test('a scraper that leaves during the collection holds nothing', async (t) => {
  const cut: unknown[] = []
  const hold = createPendingBodies(1000, () => cut.push(true))
  const gate = createGate()
  const app = Fastify()
  t.teardown(() => app.close())
  const responses: ServerResponse[] = []
  app.get('/', async (_request, reply) => {
    responses.push(reply.raw)
    await gate.opened
    hold(reply.raw, 600)
    return 'body'
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the request to arrive', () => responses.length === 1)
  socket.destroy()
  await until('the client to be gone', () => responses[0]!.destroyed)
  gate.open()
  for (let count = 0; count < 3; count += 1) t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'body')
  t.same(cut, [])
})
