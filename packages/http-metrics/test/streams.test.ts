import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { assertDocumented, until } from '@data20/dev-services'
import * as fastifySse from '@fastify/sse'
import websocket from '@fastify/websocket'
import { EventSource } from 'eventsource'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import httpMetrics from '../src/index.ts'
import { listen, REQUEST_LABELS } from './helpers.ts'
import { Exposition, settledExposition, sorted } from './traffic/exposition.ts'

/** Begins an event stream on the raw response. */
function stream(reply: FastifyReply, end = false): void {
  reply.hijack()
  reply.raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  reply.raw.write('data: 1\n\n')
  if (end) reply.raw.end()
}

async function build(options: object = {}): Promise<FastifyInstance> {
  const app = Fastify({ ...options, forceCloseConnections: true })
  await app.register(httpMetrics)
  app.get('/events', (_request, reply) => stream(reply))
  app.get('/finite', (_request, reply) => stream(reply, true))
  app.get('/broken', (_request, reply) => {
    stream(reply)
    setImmediate(() => reply.raw.destroy(new Error('on purpose')))
  })
  app.get('/poll', { config: { metrics: { stream: true } } }, () => new Promise(() => {}))
  app.get('/plain', async () => 'ok')
  return app
}

const BY_ROUTE = ['endpoint', 'method']

async function read(app: FastifyInstance): Promise<Exposition> {
  return new Exposition((await app.metrics.expose()).body.toString())
}

async function untilOpen(app: FastifyInstance, expected: Array<[string, number]>): Promise<void> {
  await until('the streams to be open', async () => {
    const open = sorted((await read(app)).counts('http_streams_open', BY_ROUTE))
    if (JSON.stringify(open) !== JSON.stringify(expected)) throw new Error(JSON.stringify(open))
    return true
  })
}

/** Asserts the streams that have ended, and that nothing is open, aborted or in the durations of requests. */
async function assertStreams(t: Test, app: FastifyInstance, ended: Array<[string, number]>): Promise<Exposition> {
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_stream_duration_seconds_count', BY_ROUTE)), ended)
  const durations = exposition.counts('http_request_duration_seconds_count', BY_ROUTE)
  for (const [key] of ended) t.equal(durations.get(key), undefined, `${key} has no duration of a request`)
  t.equal(exposition.counts('http_streams_open', ['endpoint']).size, 0)
  t.equal(exposition.counts('http_requests_aborted_total', ['endpoint']).size, 0)
  return exposition
}

t.test('event streams of EventSource clients are open, in flight, and end without an abort', async (t) => {
  const app = await build()
  const { port } = await listen(t, app)
  const sources = [0, 1].map(() => new EventSource(`http://127.0.0.1:${port}/events`))
  await Promise.all(sources.map((source) => new Promise((resolve) => source.addEventListener('message', resolve))))
  await untilOpen(app, [['/events GET', 2]])
  t.equal((await read(app)).counts('http_requests_in_flight', BY_ROUTE).get('/events GET'), 2)

  ;(app.metrics.registry as unknown as { resetMetrics(): void }).resetMetrics()
  await untilOpen(app, [['/events GET', 2]])
  sources[0]!.close()
  await untilOpen(app, [['/events GET', 1]])
  sources[1]!.close()
  const exposition = await assertStreams(t, app, [['/events GET', 2]])
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/events GET 200', 2]])
  const bounds = exposition.samples.filter(({ name }) => name === 'http_stream_duration_seconds_bucket')
  t.ok(
    bounds.some(({ labels }) => labels.le === '86400.0'),
    'buckets up to a day',
  )
})

t.test('event streams over HTTP/1.0 and on a connection that closes are streams', async (t) => {
  const app = await build()
  const { port } = await listen(t, app)
  const request = http.get({ port, host: '127.0.0.1', path: '/events', agent: false, headers: { connection: 'close' } })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  await untilOpen(app, [['/events GET', 1]])
  response.destroy()
  await assertStreams(t, app, [['/events GET', 1]])
})

t.test('event streams over HTTP/2 are streams', async (t) => {
  const app = await build({ http2: true })
  const { port } = await listen(t, app)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  t.teardown(() => session.destroy())
  const request = session.request({ ':path': '/events' })
  request.on('error', () => {})
  await once(request, 'data')
  await untilOpen(app, [['/events GET', 1]])
  request.close(http2.constants.NGHTTP2_CANCEL)
  await assertStreams(t, app, [['/events GET', 1]])
})

t.test('event streams of inject() are streams', async (t) => {
  const app = await build()
  t.teardown(() => app.close())
  t.equal((await app.inject('/finite')).body, 'data: 1\n\n')
  const controller = new AbortController()
  const { signal } = controller
  const response = await app.inject({ url: '/events', payloadAsStream: true, signal })
  response.stream().on('error', () => {})
  await untilOpen(app, [['/events GET', 1]])
  controller.abort()
  await assertStreams(t, app, [
    ['/events GET', 1],
    ['/finite GET', 1],
  ])
})

t.test('an event stream that the server breaks is truncated', async (t) => {
  const app = await build()
  const { port } = await listen(t, app)
  await new Promise((resolve) => {
    http.get({ port, host: '127.0.0.1', path: '/broken', agent: false }, (response) =>
      response
        .on('error', () => {})
        .on('close', resolve)
        .resume(),
    )
  })
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_aborted_total', ['endpoint', 'phase'])], [['/broken truncated', 1]])
  t.strictSame([...exposition.counts('http_stream_duration_seconds_count', BY_ROUTE)], [['/broken GET', 1]])
})

t.test('a route of streams is one from its start, and its client may leave before any answer', async (t) => {
  const app = await build()
  const { port } = await listen(t, app)
  t.match((await app.metrics.expose()).body.toString(), 'http_streams_open{endpoint="/poll",method="GET"} 0\n')
  const request = http.get({ port, host: '127.0.0.1', path: '/poll', agent: false })
  request.on('error', () => {})
  await untilOpen(app, [['/poll GET', 1]])
  request.destroy()
  const exposition = await assertStreams(t, app, [['/poll GET', 1]])
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/poll GET 499', 1]])
  const wrong = Fastify()
  t.teardown(() => wrong.close())
  await wrong.register(httpMetrics)
  t.throws(() => wrong.get('/', { config: { metrics: { stream: 'yes' as never } } }, async () => 'ok'), {
    code: 'METRICS_ERR_OPTION',
    message: /stream of \//,
  })
})

t.test('WebSockets are open from their handshake to their end', async (t) => {
  const app = Fastify()
  await app.register(httpMetrics)
  await app.register(websocket)
  app.get('/socket', { websocket: true }, (socket) => {
    socket.on('message', () => socket.send('pong'))
  })
  const { port } = await listen(t, app)
  const client = new WebSocket(`ws://127.0.0.1:${port}/socket`)
  await once(client, 'open')
  await untilOpen(app, [['/socket GET', 1]])
  t.equal((await read(app)).counts('http_requests_in_flight', BY_ROUTE).get('/socket GET'), 1)
  client.terminate()
  const exposition = await assertStreams(t, app, [['/socket GET', 1]])
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/socket GET 101', 1]])
  assertDocumented(t, {
    library: '@fastify/websocket',
    counted: 'handshakes with status 101, open WebSockets, and how long they were open',
    notCounted: 'messages',
  })
})

t.test('routes of @fastify/sse are streams', async (t) => {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(httpMetrics)
  await app.register(fastifySse.default as unknown as FastifyPluginAsync)
  app.get('/sse', { sse: true }, async (_request, reply) => {
    reply.sse.keepAlive()
    await reply.sse.send({ data: 'hello' })
  })
  const { port } = await listen(t, app)
  const source = new EventSource(`http://127.0.0.1:${port}/sse`)
  await new Promise((resolve) => source.addEventListener('message', resolve))
  await untilOpen(app, [['/sse GET', 1]])
  source.close()
  await assertStreams(t, app, [['/sse GET', 1]])
  assertDocumented(t, {
    library: '@fastify/sse',
    counted: 'event streams, how many are open, and how long they were open',
    notCounted: 'messages',
  })
})
