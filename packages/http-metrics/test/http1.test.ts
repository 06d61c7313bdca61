import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import net from 'node:net'
import { until } from '@data20/dev-services'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'
import { assertEachAlone, connectTo, listen, REQUEST_LABELS, statusOf } from './helpers.ts'
import { buildApp } from './traffic/app.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'
import { http1Exchanges } from './traffic/http1.ts'

/** Resolves once the answer to the next request has filled the buffers of a connection whose client does not read. */
async function answerStalled(app: FastifyInstance): Promise<void> {
  const [{ socket }, response] = (await once(app.server, 'request')) as [IncomingMessage, ServerResponse]
  await until('the answer to stall', () => response.headersSent && socket.writableLength > 0)
}

t.test('each kind of exchange over HTTP/1.1 is counted as the client saw it', (t) => assertEachAlone(t, http1Exchanges))

t.test('headers that arrive too late are a parser error with the code of the timeout', async (t) => {
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

t.test('a body that arrives too late is a request with status 408', async (t) => {
  const app = await buildApp(
    {},
    { requestTimeout: 1000, http: { headersTimeout: 1000, connectionsCheckingInterval: 50 } },
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

t.test('a clientErrorHandler can let the request in flight complete', async (t) => {
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

for (const [by, phase] of [
  ['client', 'mid_response'],
  ['server', 'truncated'],
] as const) {
  t.test(`the ${by} cuts off a response that the client does not read`, async (t) => {
    const app = await buildApp()
    const { port } = await listen(t, app)
    const socket = net.connect(port, '127.0.0.1').pause()
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    const destroy = by === 'server' ? 'X-Destroy: yes\r\n' : ''
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${destroy}\r\n`
    const stalled = answerStalled(app)
    socket.write(request('/stalled') + request('/fast/1'))
    await stalled
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
  })
}

t.test('an answer that waits behind another is lost when the client has sent FIN', async (t) => {
  const app = await buildApp()
  const { port } = await listen(t, app)
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).pause()
  t.teardown(() => socket.destroy())
  const stalled = answerStalled(app)
  socket.write(['/stalled', '/fast/1'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  await stalled
  // Its callback comes when the system has the FIN: the server can read it before the client reads anything.
  await new Promise<void>((resolve) => socket.end(resolve))
  const closed = once(socket, 'close')
  socket.resume()
  await closed
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

t.test("the error of another connection's parser is not counted as one of this connection", async (t) => {
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

t.test("connections that another server hands over are observed like the server's own", async (t) => {
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

t.test('a client that leaves while its route is still being found is not in flight afterwards', async (t) => {
  const routes = new Map<string, unknown>()
  const slow = {
    name: 'slow',
    storage: () => ({
      get: (key: string) => routes.get(key) ?? null,
      set: (key: string, route: unknown) => void routes.set(key, route),
    }),
    validate: () => true,
    // Goes on once the connection has closed.
    deriveConstraint({ socket }: IncomingMessage, _context: unknown, done: (error: null, value: string) => void) {
      socket.once('close', () => setImmediate(done, null, 'yes'))
    },
  }
  const options: object = { constraints: { slow } }
  const app = Fastify(options)
  await app.register(httpMetrics, { ignore: ['unmatched'] })
  let isHandled = false
  app.get('/', { constraints: { slow: 'yes' } }, async () => {
    isHandled = true
  })
  const { port } = await listen(t, app)

  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n', () => socket.destroy())
  await until('the handler to run', () => isHandled)

  const exposition = await settledExposition(app)
  t.equal(exposition.counts('http_requests_in_flight', ['endpoint']).size, 0)
})
