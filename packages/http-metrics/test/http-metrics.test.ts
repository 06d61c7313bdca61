import { hasSubscribers } from 'node:diagnostics_channel'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { createRequire } from 'node:module'
import net, { type AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { until } from '@data20/dev-services'
import { metricsCore } from '@data20/metrics-core'
import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import httpMetrics from '../src/index.ts'
import { buildApp, type Client, Exposition, exchanges, http2Exchanges, Ledger, settledExposition } from './traffic.ts'

const REQUEST_LABELS = ['endpoint', 'method', 'status']

/** A seeded generator (mulberry32), so that a failure can be had again. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

async function inParallel(tasks: Array<() => Promise<void>>, lanes: number): Promise<void> {
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) await task()
    }),
  )
}

/** An exchange that fails says which it was. */
async function perform(name: string, exchange: Promise<void>): Promise<void> {
  await exchange.catch((cause: Error) => {
    throw new Error(`${name}: ${cause.message}`, { cause })
  })
}

async function listen(t: Test, app: FastifyInstance): Promise<Client> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 })
  t.teardown(async () => {
    agent.destroy()
    await app.close()
  })
  return { app, agent, port: (app.server.address() as AddressInfo).port }
}

/** A connection to a server, which begins to listen if it does not yet. */
async function connectTo(server: net.Server): Promise<net.Socket> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  return net.connect((server.address() as AddressInfo).port, '127.0.0.1')
}

/** The status of a GET, once its response is read. */
async function statusOf({ port, agent }: Client, path: string): Promise<number | undefined> {
  const [response] = (await once(http.get({ port, host: '127.0.0.1', agent, path }), 'response')) as [
    http.IncomingMessage,
  ]
  await once(response.resume(), 'end')
  return response.statusCode
}

function assertAgreement(t: Test, exposition: Exposition, ledger: Ledger): void {
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), sorted(ledger.requests))
  t.strictSame(
    sorted(exposition.counts('http_requests_aborted_total', ['endpoint', 'method', 'phase'])),
    sorted(ledger.aborted),
  )
  t.strictSame(sorted(exposition.counts('http_parser_errors_total', ['code'])), sorted(ledger.parserErrors))
  t.strictSame(
    sorted(exposition.counts('http_errors_total', REQUEST_LABELS)),
    sorted([...ledger.requests].filter(([key]) => Number(key.split(' ')[2]) >= 400)),
  )
  const byRoute = ['endpoint', 'method']
  t.strictSame(
    sorted(exposition.counts('http_request_duration_seconds_count', byRoute)),
    sorted(exposition.counts('http_requests_total', byRoute)),
    'each request has one duration',
  )
  t.equal(exposition.counts('http_requests_in_flight', ['endpoint']).size, 0)
}

function sorted(counts: Iterable<[string, number]>): Array<[string, number]> {
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
}

t.test('2,000 requests of every kind over HTTP/1.1 and HTTP/2 are counted once, as the client saw them', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now())
  t.comment(`seed ${seed}`)
  const random = createRandom(seed)
  const ledger = new Ledger()
  const client = await listen(t, await buildApp())
  const names = Object.keys(exchanges)
  // Each kind at least once, the rest by chance.
  const chosen = [
    ...names,
    ...Array.from({ length: 1700 - names.length }, () => names[Math.floor(random() * names.length)]!),
  ]
  await inParallel(
    chosen.map((name) => () => perform(name, exchanges[name]!(client, ledger))),
    30,
  )
  assertAgreement(t, await settledExposition(client.app), ledger)

  const ledger2 = new Ledger()
  const client2 = await listen(t, await buildApp({}, { http2: true }))
  const session = http2.connect(`http://127.0.0.1:${client2.port}`)
  t.teardown(() => session.close())
  const names2 = Object.keys(http2Exchanges)
  const chosen2 = [
    ...names2,
    ...Array.from({ length: 300 - names2.length }, () => names2[Math.floor(random() * names2.length)]!),
  ]
  await inParallel(
    chosen2.map((name) => () => perform(name, http2Exchanges[name]!(session, ledger2))),
    20,
  )
  assertAgreement(t, await settledExposition(client2.app), ledger2)
})

t.test('each kind of exchange alone is counted as the client saw it', async (t) => {
  for (const [name, exchange] of Object.entries(exchanges)) {
    const app = await buildApp()
    const client = await listen(t, app)
    const ledger = new Ledger()
    await perform(name, exchange(client, ledger))
    await t.test(name, async (t) => assertAgreement(t, await settledExposition(app), ledger))
    client.agent.destroy()
    await app.close()
  }
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
  const { port } = await listen(t, app)
  let received = ''
  const [busy, other] = [0, 1].map(() => {
    const socket = net.connect(port, '127.0.0.1')
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    return socket.on('data', (data) => {
      received += data
    })
  }) as [net.Socket, net.Socket]
  await new Promise((resolve) => setTimeout(resolve, 50))

  const closed = app.close()
  await new Promise((resolve) => setTimeout(resolve, 50))
  // Pipelined behind the request that is under way: the connection is still open, the application is closing.
  busy.write('GET /fast HTTP/1.1\r\nHost: x\r\n\r\n')
  other.write('GET /fast HTTP/1.1\r\n\r\n')
  await new Promise((resolve) => setTimeout(resolve, 50))
  release()
  await Promise.all([once(busy, 'close'), once(other, 'close')])
  await closed

  t.strictSame(received.match(/(?<=HTTP\/1.1 )\d+/g)?.sort(), ['200', '200', '400', '503'])
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', ['status'])), [
    ['200', 2],
    ['400', 1],
    ['503', 1],
  ])
})

t.test('headers that come too late are a parser error with the code of the timeout', async (t) => {
  const app = await buildApp(
    {},
    { http: { headersTimeout: 100, requestTimeout: 200, connectionsCheckingInterval: 50 } },
  )
  const { port } = await listen(t, app)
  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost:')
  socket.resume()
  await once(socket, 'close')

  const exposition = await settledExposition(app)
  t.equal(exposition.counts('http_parser_errors_total', ['code']).get('ERR_HTTP_REQUEST_TIMEOUT'), 1)
  t.equal(exposition.counts('http_requests_total', []).size, 0)
})

t.test('a body that comes too late is a request with status 408', async (t) => {
  const app = await buildApp(
    {},
    { requestTimeout: 200, http: { headersTimeout: 100, connectionsCheckingInterval: 50 } },
  )
  const { port } = await listen(t, app)
  const socket = net.connect(port, '127.0.0.1')
  let received = ''
  socket.on('data', (data) => {
    received += data
  })
  socket.write('POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{')
  await once(socket, 'close')

  t.match(received, /^HTTP\/1.1 408/)
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/upload POST 408', 1]])
  t.equal(exposition.counts('http_parser_errors_total', ['code']).size, 0)
})

t.test('a clientErrorHandler may let the request in flight end', async (t) => {
  let answer = () => {}
  const app = Fastify({ clientErrorHandler: () => answer() })
  await app.register(httpMetrics)
  app.get(
    '/',
    () =>
      new Promise((resolve) => {
        answer = () => resolve('ok')
      }),
  )
  const { port } = await listen(t, app)
  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\nNONSENSE\r\n\r\n')
  const [received] = await once(socket, 'data')
  socket.destroy()
  t.match(`${received}`, /^HTTP\/1.1 200/)
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/ GET 200', 1]])
  t.strictSame([...exposition.counts('http_parser_errors_total', ['code'])], [['HPE_INVALID_METHOD', 1]])
})

t.test(
  'a stream of HTTP/2 that is closed without an error, and a connection that is reset, are the client leaving',
  async (t) => {
    const app = await buildApp({}, { http2: true })
    const { port } = await listen(t, app)
    const socket = net.connect(port, '127.0.0.1')
    const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => socket })
    session.on('error', () => {})
    const [slow, endless, closed] = ['/slow', '/endless', '/endless'].map((path) => session.request({ ':path': path }))
    for (const stream of [slow!, endless!, closed!]) stream.on('error', () => {})
    await Promise.all([once(endless!, 'data'), once(closed!, 'data')])
    const aborted = async () => {
      const exposition = new Exposition((await app.metrics.expose()).body.toString())
      return sorted(exposition.counts('http_requests_aborted_total', ['endpoint', 'phase']))
    }

    // Node.js does not say that this one is closed while the connection lasts.
    closed!.close(http2.constants.NGHTTP2_NO_ERROR)
    await until('the closed stream to be counted', async () => (await aborted()).length > 0)
    t.strictSame(await aborted(), [['/endless mid_response', 1]])

    socket.resetAndDestroy()
    const exposition = await settledExposition(app)
    t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
      ['/endless GET 200', 2],
      ['/slow GET 499', 1],
    ])
    t.strictSame(await aborted(), [
      ['/endless mid_response', 2],
      ['/slow before_headers', 1],
    ])
  },
)

t.test('a response is cut off while the client does not read', async (t) => {
  for (const [by, phase] of [
    ['client', 'mid_response'],
    ['server', 'truncated'],
  ] as const) {
    const app = await buildApp()
    const { port } = await listen(t, app)
    const socket = net.connect(port, '127.0.0.1').pause()
    socket.on('error', () => {})
    const destroy = by === 'server' ? 'X-Destroy: yes\r\n' : ''
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${destroy}\r\n`
    socket.write(request('/stalled') + request('/fast/1'))
    await once(app.server, 'request')
    await new Promise((resolve) => setTimeout(resolve, 50))
    if (by === 'client') socket.resetAndDestroy()

    const exposition = await settledExposition(app)
    t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
      ['/fast/:id GET 499', 1],
      ['/stalled GET 200', 1],
    ])
    t.strictSame(sorted(exposition.counts('http_requests_aborted_total', ['endpoint', 'phase'])), [
      [`/fast/:id ${by === 'server' ? phase : 'before_headers'}`, 1],
      [`/stalled ${phase}`, 1],
    ])
    socket.destroy()
  }
})

t.test('what waits behind an answer is lost when the client has said FIN', async (t) => {
  const app = await buildApp()
  const { port } = await listen(t, app)
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).pause()
  socket.write(['/stalled', '/fast/1'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  await once(app.server, 'request')
  await new Promise((resolve) => setTimeout(resolve, 50))
  socket.end()
  await new Promise((resolve) => setTimeout(resolve, 50))
  socket.resume()
  await once(socket, 'close')
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
    ['/fast/:id GET 499', 1],
    ['/stalled GET 200', 1],
  ])
  t.strictSame(
    [...exposition.counts('http_requests_aborted_total', ['endpoint', 'phase'])],
    [['/fast/:id before_headers', 1]],
  )
})

t.test("the error of another connection's parser is none of ours", async (t) => {
  const app = Fastify()
  await app.register(httpMetrics)
  app.get('/', ({ raw: { socket } }, reply) => {
    reply.hijack()
    socket.destroy(Object.assign(new Error('on purpose'), { code: 'HPE_INVALID_CHUNK_SIZE' }))
  })
  const client = await listen(t, app)
  await t.rejects(statusOf(client, '/'))
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/ GET 499', 1]])
  t.equal(exposition.counts('http_parser_errors_total', ['code']).size, 0)
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

t.test('connections that another server hands on are observed like those of its own', async (t) => {
  const app = await buildApp()
  await app.ready()
  const server = net.createServer((socket) => app.server.emit('connection', socket))
  t.teardown(() => Promise.all([app.close(), server.close()]))
  const socket = (await connectTo(server)).resume()
  // Without a Host, and with a malformed chunk.
  socket.write('GET /fast/1 HTTP/1.1\r\n\r\n')
  await once(socket, 'close')
  const other = (await connectTo(server)).resume()
  other.write(
    'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nNONSENSE\r\n',
  )
  await once(other, 'close')
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
    ['/slow POST 400', 1],
    ['unmatched GET 400', 1],
  ])
  t.equal(exposition.counts('http_parser_errors_total', ['code']).size, 0)
})

t.test('clients of HTTP/2 that say GOAWAY and go leave nothing in flight', async (t) => {
  const app = await buildApp({}, { http2: true })
  // Node.js keeps the sessions too.
  const sessions: http2.ServerHttp2Session[] = []
  app.server.on('session', (session) => sessions.push(session))
  app.addHook('preClose', async () => {
    for (const session of sessions) session.destroy()
  })
  let begun = 0
  app.get('/', async () => {
    begun += 1
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
    return 'x'.repeat(1000)
  })
  const { port } = await listen(t, app)
  for (let count = 0; count < 40; count += 1) {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    for (let request = 0; request < 30; request += 1) {
      session
        .request({ ':path': '/' })
        .on('error', () => {})
        .resume()
    }
    await new Promise((resolve) => setTimeout(resolve, 2 + (count % 25)))
    session.destroy()
  }
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_in_flight', ['endpoint'])], [])
  t.equal(exposition.counts('http_requests_total', ['endpoint']).get('/'), begun)
})

t.test('an idle connection keeps nothing of the application', async (t) => {
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

t.test('a second address of localhost is observed too', async (t) => {
  const app = await buildApp()
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: 'localhost' })
  const addresses = app.addresses()
  for (const { address, port } of addresses as AddressInfo[]) {
    const socket = net.connect(port, address)
    socket.end('NONSENSE\r\n\r\n')
    socket.resume()
    await once(socket, 'close')
  }
  const exposition = await settledExposition(app)
  t.equal(exposition.counts('http_parser_errors_total', ['code']).get('HPE_INVALID_METHOD'), addresses.length)
})

t.test('options', async (t) => {
  t.test('ignore leaves routes out, by pattern, by prefix and by regular expression', async (t) => {
    const app = await buildApp({ ignore: ['/fast/:id', '/late-child/*', /^\/(err|timeo)/g, 'unmatched'] })
    t.teardown(() => app.close())
    for (const url of ['/fast/1', '/late-child/items/1', '/error', '/timeout', '/nowhere', '/before/1'])
      await app.inject(url)
    const { requests } = new Ledger()
    requests.set('/before/:id GET 200', 1)
    t.strictSame((await settledExposition(app)).counts('http_requests_total', REQUEST_LABELS), requests)
  })

  t.test('a route can be left out, be named otherwise, and have buckets of its own', async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(httpMetrics, { buckets: [1, 2] })
    app.get('/out', { config: { metrics: false } }, async () => 'ok')
    app.get('/v1/named', { config: { metrics: { endpoint: '/named', buckets: [5] } } }, async () => 'ok')
    app.get('/v2/named', { config: { metrics: { endpoint: '/named', buckets: [5] } } }, async () => 'ok')
    for (const url of ['/out', '/v1/named', '/v2/named']) await app.inject(url)
    const exposition = await settledExposition(app)
    t.strictSame([...exposition.counts('http_requests_total', ['endpoint'])], [['/named', 2]])
    t.strictSame(
      [...exposition.counts('http_request_duration_seconds_bucket', ['le'])],
      [
        ['5.0', 2],
        ['+Inf', 2],
      ],
    )
  })

  t.test('groupStatus writes the class of the status', async (t) => {
    const app = await buildApp({ groupStatus: true })
    t.teardown(() => app.close())
    await app.inject('/fast/1')
    await app.inject('/nowhere')
    t.strictSame(sorted((await settledExposition(app)).counts('http_requests_total', ['status'])), [
      ['2xx', 1],
      ['4xx', 1],
    ])
  })

  t.test('endpointLabel renames the label in every metric', async (t) => {
    const app = await buildApp({ endpointLabel: 'route', sizes: true })
    t.teardown(() => app.close())
    await app.inject('/fast/1')
    const { samples } = await settledExposition(app)
    const http = samples.filter(({ name, labels }) => name.startsWith('http_') && !('code' in labels))
    t.ok(http.length > 0)
    t.ok(http.every(({ labels }) => 'route' in labels && !('endpoint' in labels)))
  })

  t.test('custom labels take the values allowed, everything else and every error is `other`', async (t) => {
    const app = Fastify({ logger: false })
    t.teardown(() => app.close())
    await app.register(httpMetrics, {
      labels: {
        tenant: {
          values: ['a', 'b'],
          value: ({ headers }) => {
            if (headers['x-tenant'] === 'boom') throw new Error('on purpose')
            return headers['x-tenant'] as string | undefined
          },
        },
      },
    })
    app.get('/', async () => 'ok')
    for (const tenant of ['a', 'a', 'b', 'hostile', 'boom', undefined]) {
      await app.inject({ url: '/', headers: tenant === undefined ? {} : { 'x-tenant': tenant } })
    }
    const exposition = await settledExposition(app)
    const expected = [
      ['a', 2],
      ['b', 1],
      ['other', 3],
    ] as Array<[string, number]>
    t.strictSame(sorted(exposition.counts('http_requests_total', ['tenant'])), expected)
    t.strictSame(sorted(exposition.counts('http_request_duration_seconds_count', ['tenant'])), expected)
    t.equal(exposition.counts('metrics_errors_total', ['plugin']).get('http-metrics'), 1)
  })

  t.test('sizes counts the bytes of bodies as they pass', async (t) => {
    const app = await buildApp({ sizes: true })
    app.get('/not-modified', async (_request, reply) => reply.code(304).send('as you know'))
    const { port, agent } = await listen(t, app)
    const body = JSON.stringify({ n: 1, text: 'ü'.repeat(500) })
    for (const headers of [{ 'content-length': Buffer.byteLength(body) }, { 'transfer-encoding': 'chunked' }]) {
      const options = {
        method: 'POST',
        path: '/validated',
        headers: { 'content-type': 'application/json', ...headers },
      }
      const request = http.request({ port, host: '127.0.0.1', agent, ...options })
      request.end(body)
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      response.resume()
      await once(response, 'end')
    }
    await app.inject('/large')
    await app.inject({ url: '/fast/1', method: 'HEAD' })
    await app.inject('/not-modified')
    const exposition = await settledExposition(app)
    const received = exposition.counts('http_request_size_bytes_sum', ['endpoint', 'method'])
    const sent = exposition.counts('http_response_size_bytes_sum', ['endpoint', 'method'])
    t.equal(received.get('/validated POST'), 2 * Buffer.byteLength(body))
    t.equal(sent.get('/validated POST'), 2 * 2)
    t.equal(sent.get('/large GET'), 16 * 65_536)
    t.equal(sent.get('/fast/:id HEAD'), undefined)
    t.equal(sent.get('/not-modified GET'), undefined)
    t.equal(exposition.counts('http_response_size_bytes_count', ['endpoint', 'method']).get('/fast/:id HEAD'), 1)
  })

  t.test('known routes exist at 0 from the start, for the statuses asked for', async (t) => {
    const statuses = async (options: object) => {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(httpMetrics, options)
      app.get('/known', async () => 'ok')
      await app.ready()
      const { samples } = await settledExposition(app)
      const found = samples.filter(({ name, labels }) => name === 'http_requests_total' && labels.endpoint === '/known')
      t.ok(found.every(({ value }) => value === 0))
      return found.map(({ labels }) => labels.status)
    }
    t.strictSame(await statuses({}), ['200', '400', '500'])
    t.strictSame(await statuses({ initialize: false }), [])
    t.strictSame(await statuses({ initialize: [201] }), ['201'])
    t.strictSame(await statuses({ groupStatus: true }), ['1xx', '2xx', '3xx', '4xx', '5xx'])
  })

  t.test('wrong ones fail at registration with a sentence', async (t) => {
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
})

t.test("a route's wrong options fail where it is registered, and do no harm where it was before", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/early', { config: { metrics: { buckets: [2, 1] } } }, async () => 'ok')
  app.get('/nameless', { config: { metrics: { endpoint: '' } } }, async () => 'ok')
  await app.register(httpMetrics, { initialize: false })
  for (const metrics of [{ buckets: [2, 1] }, { endpoint: '' }, { endpoint: 5 }]) {
    t.throws(() => app.get('/late', { config: { metrics } }, async () => 'ok'), {
      code: 'METRICS_ERR_OPTION',
      message: / of \/late/,
    })
  }
  t.equal((await app.inject('/early')).statusCode, 200)
  t.equal((await app.inject('/nameless')).statusCode, 200)
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
    ['/early GET 200', 1],
    ['/nameless GET 200', 1],
  ])
  t.equal(exposition.counts('metrics_errors_total', ['plugin']).get('http-metrics'), 2)
})

t.test('registering twice counts once', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  await app.register(httpMetrics)
  app.get('/', async () => 'ok')
  await app.inject('/')
  t.equal((await settledExposition(app)).counts('http_requests_total', ['endpoint']).get('/'), 1)
})

t.test('registering twice with options is an error, not silence', async (t) => {
  const app = Fastify()
  await app.register(httpMetrics)
  await t.rejects(async () => app.register(httpMetrics, { groupStatus: true }), {
    code: 'METRICS_ERR_ALREADY_REGISTERED',
  })
})

t.test('registered in an encapsulated part, only that part is counted', async (t) => {
  const app = Fastify()
  let inside: FastifyInstance = app
  app.get('/outside', async () => 'ok')
  await app.register(async (child) => {
    await child.register(httpMetrics)
    child.get('/inside', async () => 'ok')
    child.get('/slow', () => new Promise(() => {}))
    inside = child
  })
  const client = await listen(t, app)
  for (const path of ['/inside', '/outside', '/nowhere']) await statusOf(client, path)
  // Its answer waits for that of the slow one, until the client has left.
  const socket = net.connect(client.port, '127.0.0.1')
  socket.write(['/slow', '/inside'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  // Both arrive in one piece.
  await once(app.server, 'request')
  socket.destroy()

  const exposition = await settledExposition(inside)
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
    ['/inside GET 200', 1],
    ['/inside GET 499', 1],
    ['/slow GET 499', 1],
  ])
})

t.test('registered in a part and in the whole, a request of the part counts once', async (t) => {
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

t.test("another plugin's decorator of the same name is an error, not silence", async (t) => {
  const app = Fastify()
  app.decorate('httpMetrics', {} as true)
  await t.rejects(async () => app.register(httpMetrics), { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

t.test('a request that is routed twice is one request, of its first route', async (t) => {
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

t.test('an application inside of another is measured for itself', async (t) => {
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

t.test('an application inside of another counts what was over before it came there', async (t) => {
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

t.test('a closed application leaves nothing behind', async (t) => {
  const app = await buildApp()
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: 'localhost' })
  const { port } = app.server.address() as AddressInfo
  t.equal(await statusOf({ app, agent: http.globalAgent, port }, '/fast/1'), 200)
  t.ok(hasSubscribers('http.server.request.start'))
  await app.close()
  t.notOk(hasSubscribers('http.server.request.start'))
})

t.test('a server that has never listened leaves nothing behind either', async (t) => {
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

t.test('two copies of Fastify in one process are both measured', async (t) => {
  const require = createRequire(import.meta.url)
  const copy = () => {
    for (const file of Object.keys(require.cache)) if (file.includes('/fastify/')) delete require.cache[file]
    return require('fastify')() as FastifyInstance
  }
  for (const app of [copy(), copy()]) {
    t.teardown(() => app.close())
    await app.register(httpMetrics)
    app.get('/', async () => 'ok')
    t.equal((await app.inject('/')).statusCode, 200)
    const exposition = await settledExposition(app)
    t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/ GET 200', 1]])
  }
})

t.test('two applications in one process share nothing', async (t) => {
  const [one, two] = [await buildApp(), await buildApp()]
  t.teardown(() => Promise.all([one.close(), two.close()]))
  await one.inject('/fast/1')
  t.equal((await settledExposition(one)).counts('http_requests_total', ['endpoint']).size, 1)
  t.equal((await settledExposition(two)).counts('http_requests_total', ['endpoint']).size, 0)
})

t.test('names, labels and help are what people query', async (t) => {
  const app = await buildApp({ sizes: true, initialize: [200] })
  t.teardown(() => app.close())
  await app.inject('/nowhere')
  const text = (await app.metrics.expose()).body.toString()
  t.matchOnly(
    text.match(/^# (HELP|TYPE) http_.*$/gm)?.join('\n'),
    [
      '# HELP http_requests_total HTTP requests, however they ended. Status 499: the connection ended before any answer.',
      '# TYPE http_requests_total counter',
      '# HELP http_errors_total HTTP requests with a status of 400 and above.',
      '# TYPE http_errors_total counter',
      "# HELP http_request_duration_seconds Time from a request's headers read to its response's last byte handed to the system, or to the abort.",
      '# TYPE http_request_duration_seconds histogram',
      '# HELP http_requests_in_flight HTTP requests begun and not yet ended.',
      '# TYPE http_requests_in_flight gauge',
      '# HELP http_requests_aborted_total HTTP requests without a whole response: the client left before_headers or mid_response, or the server broke it off (truncated).',
      '# TYPE http_requests_aborted_total counter',
      '# HELP http_request_size_bytes Bytes of request bodies as received.',
      '# TYPE http_request_size_bytes histogram',
      '# HELP http_response_size_bytes Bytes of response bodies as written, before the framing of chunks.',
      '# TYPE http_response_size_bytes histogram',
      '# HELP http_parser_errors_total Bytes that never became a request: malformed, too long or too late, by the code of the error.',
      '# TYPE http_parser_errors_total counter',
    ].join('\n'),
  )
  t.match(text, 'http_requests_total{endpoint="unmatched",method="GET",status="404"} 1\n')
  t.match(text, 'http_errors_total{endpoint="unmatched",method="GET",status="404"} 1\n')
  t.match(text, 'http_request_duration_seconds_bucket{endpoint="unmatched",method="GET",le="10.0"} 1\n')
  t.match(text, 'http_requests_in_flight{endpoint="unmatched",method="GET"} 0\n')
  t.match(text, 'http_requests_aborted_total{endpoint="unmatched",method="GET",phase="before_headers"} 0\n')
})
