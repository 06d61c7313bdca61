import { hasSubscribers, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { until } from '@data20/dev-services'
import { metricsCore } from '@data20/metrics-core'
import Fastify from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'
import { assertAgreement, connectTo, listen, perform, REQUEST_LABELS, statusOf } from './helpers.ts'
import { buildApp } from './traffic/app.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'
import { http1Exchanges } from './traffic/http1.ts'
import { http2Exchanges } from './traffic/http2.ts'
import { Ledger } from './traffic/ledger.ts'
import { upgradeExchanges } from './traffic/upgrade.ts'

/** A seeded generator (mulberry32), so that a failure can be repeated with `SEED=`. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Returns that many names: each at least once, the rest by chance. */
function choose(names: string[], count: number, random: () => number): string[] {
  const rest = Array.from({ length: count - names.length }, () => names[Math.floor(random() * names.length)]!)
  return [...names, ...rest]
}

async function inParallel(tasks: Array<() => Promise<void>>, lanes: number): Promise<void> {
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) await task()
    }),
  )
}

t.test('2,000 requests of every kind over HTTP/1.1 and HTTP/2 are counted once, as the client saw them', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now())
  t.comment(`seed ${seed}`)
  const random = createRandom(seed)
  const ledger = new Ledger()
  const client = await listen(t, await buildApp())
  const exchanges = { ...http1Exchanges, ...upgradeExchanges }
  await inParallel(
    choose(Object.keys(exchanges), 1700, random).map((name) => () => perform(name, exchanges[name]!(client, ledger))),
    30,
  )
  assertAgreement(t, await settledExposition(client.app), ledger)

  const ledger2 = new Ledger()
  const client2 = await listen(t, await buildApp({}, { http2: true }))
  const session = http2.connect(`http://127.0.0.1:${client2.port}`)
  t.teardown(() => session.close())
  await inParallel(
    choose(Object.keys(http2Exchanges), 300, random).map(
      (name) => () => perform(name, http2Exchanges[name]!(session, ledger2)),
    ),
    20,
  )
  assertAgreement(t, await settledExposition(client2.app), ledger2)
})

t.test('requests that arrive during close() are counted', async (t) => {
  const app = Fastify()
  await app.register(httpMetrics)
  let release = () => {}
  const waiting = new Promise<void>((resolve) => {
    release = resolve
  })
  app.get('/slow', () => waiting.then(() => 'done'))
  app.get('/fast', async () => 'ok')
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  // Node.js announces here also what it answers itself.
  let announced = 0
  const count = (message: unknown) => {
    if ((message as { server: unknown }).server === app.server) announced += 1
  }
  subscribe('http.server.request.start', count)
  t.teardown(() => unsubscribe('http.server.request.start', count))
  const { port } = await listen(t, app)
  let received = ''
  const [busy, other] = [0, 1].map(() => {
    const socket = net.connect(port, '127.0.0.1')
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    return socket.on('data', (data) => {
      received += data
    })
  }) as [net.Socket, net.Socket]
  await until('both requests to arrive', () => announced === 2)

  const closed = app.close()
  await until('the application to close', () => isClosing)
  // Pipelined behind the request in flight: the connection is still open, the application is closing.
  const bothClosed = Promise.all([once(busy, 'close'), once(other, 'close')])
  busy.write('GET /fast HTTP/1.1\r\nHost: x\r\n\r\n')
  other.write('GET /fast HTTP/1.1\r\n\r\n')
  await until('both further requests to arrive', () => announced === 4)
  release()
  await bothClosed
  await closed

  t.strictSame(received.match(/(?<=HTTP\/1.1 )\d+/g)?.sort(), ['200', '200', '400', '503'])
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', ['status'])), [
    ['200', 2],
    ['400', 1],
    ['503', 1],
  ])
})

t.test('an application that does not listen itself is measured too', async (t) => {
  const app = await buildApp()
  await app.ready()
  const server = http.createServer((request, response) => app.server.emit('request', request, response))
  t.teardown(() => Promise.all([app.close(), server.close()]))
  const socket = await connectTo(server)
  const paths = ['/fast/%zz', '/slow', '/fast/1']
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  await once(socket, 'data')
  socket.destroy()
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
    ['/fast/:id GET 499', 1],
    ['/slow GET 499', 1],
    ['unmatched GET 400', 1],
  ])
})

t.test('an idle connection retains nothing of a finished request', async (t) => {
  const app = Fastify()
  await app.register(httpMetrics, { labels: { one: { values: ['1'], value: () => '1' } } })
  const requests: WeakRef<object>[] = []
  app.get('/', async (request) => {
    requests.push(new WeakRef(request))
    return 'ok'
  })
  const client = await listen(t, app)
  t.equal(await statusOf(client, '/'), 200)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await until('the request to be collected', async () => {
    await new Promise(setImmediate)
    collect()
    return requests.every((request) => request.deref() === undefined)
  })
  t.equal(requests.length, 1)
})

t.test('distinct URLs, methods and hostile headers add no series', async (t) => {
  const app = await buildApp()
  const { port, agent } = await listen(t, app)
  const get = async (path: string, method = 'GET', headers = {}) => {
    const request = http.request({ port, host: '127.0.0.1', agent, method, path, headers }).end()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    await once(response, 'end')
  }
  await get('/fast/1')
  await get('/nowhere')
  await get('/nowhere', 'PURGE')
  await get('/fast/%zz')
  const before = (await settledExposition(app)).samples.length

  for (let index = 0; index < 300; index += 1) await get(`/nowhere/${index}`)
  for (let index = 0; index < 300; index += 1) await get(`/fast/${index}?q=${index}`)
  for (const method of ['PURGE', 'MKCOL', 'COPY', 'LOCK', 'SUBSCRIBE', 'M-SEARCH']) await get('/x', method)
  for (let index = 0; index < 50; index += 1) {
    const host = `h${index}"\\{}`
    await get('/fast/1', 'GET', { host, 'x-forwarded-host': host, 'user-agent': host, 'x-http-method-override': host })
  }
  for (let index = 0; index < 100; index += 1) {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.end(`METHOD${index} / HTTP/1.1\r\nHost: x\r\n\r\n`)
    socket.resume()
    await once(socket, 'close')
  }

  t.equal((await settledExposition(app)).samples.length, before)
})

t.test('a second registration without options changes nothing', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  await app.register(httpMetrics)
  app.get('/', async () => 'ok')
  await app.inject('/')
  t.equal((await settledExposition(app)).counts('http_requests_total', ['endpoint']).get('/'), 1)
})

t.test('registered in a context and in the whole application, a request counts once', async (t) => {
  const app = Fastify()
  await app.register(metricsCore)
  await app.register(async (child) => {
    await child.register(httpMetrics)
    child.get('/inside', async () => 'ok')
  })
  await app.register(httpMetrics)
  const client = await listen(t, app)
  for (const path of ['/inside', '/nowhere']) await statusOf(client, path)
  t.strictSame(sorted((await settledExposition(app)).counts('http_requests_total', REQUEST_LABELS)), [
    ['/inside GET 200', 1],
    ['unmatched GET 404', 1],
  ])
})

t.test("another plugin's decorator of the same name is an error", async (t) => {
  const app = Fastify()
  app.decorate('httpMetrics', {} as true)
  await t.rejects(async () => app.register(httpMetrics), { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

t.test('a request that is routed twice counts once, for its first route', async (t) => {
  const app = Fastify()
  await app.register(httpMetrics)
  app.get('/old', async (request, reply) => {
    reply.hijack()
    request.raw.url = '/new'
    app.routing(request.raw, reply.raw)
  })
  app.get('/new', async () => 'ok')
  const client = await listen(t, app)
  t.equal(await statusOf(client, '/old'), 200)
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/old GET 200', 1]])
  t.equal(exposition.counts('http_requests_in_flight', ['endpoint']).size, 0)
})

t.test('an application inside another is measured separately', async (t) => {
  const [outer, inner] = [Fastify(), Fastify()]
  await inner.register(httpMetrics)
  inner.get('/api/tools', async () => 'ok')
  await inner.ready()
  await outer.register(httpMetrics, { labels: { tenant: { values: ['one'], value: () => 'one' } } })
  outer.get('/*', async (request, reply) => {
    reply.hijack()
    inner.routing(request.raw, reply.raw)
  })
  t.teardown(() => inner.close())
  const client = await listen(t, outer)
  t.equal(await statusOf(client, '/api/tools'), 200)
  for (const [app, endpoint] of [
    [outer, '/*'],
    [inner, '/api/tools'],
  ] as const) {
    const exposition = await settledExposition(app)
    t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [[`${endpoint} GET 200`, 1]])
    t.equal(exposition.counts('http_requests_in_flight', ['endpoint']).size, 0)
  }
})

t.test('an application inside another counts a request that ended before it got there', async (t) => {
  const inner = Fastify()
  await inner.register(httpMetrics)
  inner.get('/', async () => 'ok')
  await inner.ready()
  const server = http.createServer(async (request, response) => {
    await once(response, 'close')
    inner.routing(request, response)
  })
  t.teardown(() => Promise.all([inner.close(), server.close()]))
  const socket = await connectTo(server)
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(server, 'request')
  socket.destroy()
  await until('the request to be counted', async () => {
    const exposition = await settledExposition(inner)
    return exposition.counts('http_requests_aborted_total', ['phase']).get('before_headers') === 1
  })
  const exposition = await settledExposition(inner)
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/ GET 499', 1]])
})

t.test('a closed application leaves no subscriber behind', async (t) => {
  const app = await buildApp()
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: 'localhost' })
  const { port } = app.server.address() as AddressInfo
  t.equal(await statusOf({ app, agent: http.globalAgent, port }, '/fast/1'), 200)
  t.ok(hasSubscribers('http.server.request.start'))
  await app.close()
  t.notOk(hasSubscribers('http.server.request.start'))
})

t.test('a closed server that never listened leaves no subscriber behind either', async (t) => {
  const app = Fastify({ serverFactory: (handler) => http.createServer(handler) })
  await app.register(httpMetrics)
  await app.ready()
  const server = net.createServer((socket) => app.server.emit('connection', socket))
  const socket = await connectTo(server)
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  t.ok(hasSubscribers('http.server.request.start'))
  socket.destroy()
  await Promise.all([app.close(), server.close()])
  t.notOk(hasSubscribers('http.server.request.start'))
})

t.test('two applications in one process share nothing', async (t) => {
  const [one, two] = [await buildApp(), await buildApp()]
  t.teardown(() => Promise.all([one.close(), two.close()]))
  await one.inject('/fast/1')
  t.equal((await settledExposition(one)).counts('http_requests_total', ['endpoint']).size, 1)
  t.equal((await settledExposition(two)).counts('http_requests_total', ['endpoint']).size, 0)
})

t.test('wrong options fail at registration and say what was expected', async (t) => {
  const label = { values: ['a'], value: () => 'a' }
  for (const options of [
    { buckets: [1, 0.5] },
    { buckets: '1' },
    { buckets: new Array(2) },
    { ignore: [1] },
    { ignore: '/health' },
    { labels: { x: {} } },
    { labels: { method: label } },
    { labels: { endpoint: label } },
    { endpointLabel: '1' },
    { endpointLabel: 'status' },
    { endpointLabel: 'phase' },
    { initialize: 'all' },
    { initialize: [2] },
  ]) {
    const app = Fastify()
    await t.rejects(async () => app.register(httpMetrics, options as object), {
      code: /^METRICS_ERR_/,
      message: /Expected/,
    })
  }
})

t.test('a second registration with options is an error', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  await t.rejects(async () => app.register(httpMetrics, { groupStatus: true }), {
    code: 'METRICS_ERR_ALREADY_REGISTERED',
  })
})

t.test('an option that does not exist fails with the name that is meant', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => void (await app.register(httpMetrics, { blacklist: [] } as object)), {
    code: 'METRICS_ERR_UNKNOWN_OPTION',
    message: /http-metrics, got `blacklist`; did you mean `ignore`/,
  })
})
