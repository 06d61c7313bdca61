import { once } from 'node:events'
import http, { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { assertDocumented, until } from '@data20/dev-services'
import httpProxy from '@fastify/http-proxy'
import { ServerlessAdapter } from '@h4ad/serverless-adapter'
import { ApiGatewayV2Adapter } from '@h4ad/serverless-adapter/adapters/aws'
import { FastifyFramework } from '@h4ad/serverless-adapter/frameworks/fastify'
import { DefaultHandler } from '@h4ad/serverless-adapter/handlers/default'
import { PromiseResolver } from '@h4ad/serverless-adapter/resolvers/promise'
import Fastify, { type FastifyInstance } from 'fastify'
import { toFetchResponse, toReqRes } from 'fetch-to-node'
import mercurius from 'mercurius'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import httpMetrics from '../src/index.ts'
import { REQUEST_LABELS } from './helpers.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'

async function build(t: Test): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  app.get('/users/:id', async ({ params }) => params)
  app.get('/fails', async () => {
    throw new Error('on purpose')
  })
  app.get('/broken', (_request, reply) => {
    reply.hijack()
    reply.raw.destroy(new Error('on purpose'))
  })
  await app.ready()
  return app
}

/** Asserts that these requests were counted, whole unless they are in `aborted`, and that none is in flight. */
async function assertCounted(
  t: Test,
  app: FastifyInstance,
  requests: Array<[string, number]>,
  aborted: Array<[string, number]> = [],
): Promise<void> {
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), sorted(requests))
  t.strictSame([...exposition.counts('http_requests_aborted_total', ['endpoint', 'phase'])], aborted)
  t.equal(exposition.counts('http_requests_in_flight', ['endpoint']).size, 0)
}

t.test('requests of a bridge from fetch, which have no socket, are answered and counted', async (t) => {
  const app = await build(t)
  for (const [path, status] of [
    ['/users/1', 200],
    ['/fails', 500],
    ['/none', 404],
  ] as const) {
    const { req, res } = toReqRes(new Request(`http://localhost${path}`))
    app.routing(req, res)
    t.equal((await toFetchResponse(res)).status, status)
  }
  await assertCounted(t, app, [
    ['/users/:id GET 200', 1],
    ['/fails GET 500', 1],
    ['unmatched GET 404', 1],
  ])
  assertDocumented(t, {
    library: 'fetch-to-node',
    counted: 'requests and answers',
    notCounted: 'malformed URLs, which Fastify answers before any hook',
  })
})

t.test('requests of a serverless adapter, whose responses never close, are counted at their end', async (t) => {
  const app = await build(t)
  const handler = ServerlessAdapter.new(app as never)
    .setFramework(new FastifyFramework() as never)
    .setHandler(new DefaultHandler())
    .setResolver(new PromiseResolver())
    .addAdapter(new ApiGatewayV2Adapter())
    .build()
  for (let call = 0; call < 3; call += 1) {
    const event = {
      version: '2.0',
      routeKey: '$default',
      rawPath: '/users/1',
      rawQueryString: '',
      headers: { host: 'localhost' },
      requestContext: { http: { method: 'GET', path: '/users/1', sourceIp: '127.0.0.1' } },
      isBase64Encoded: false,
    }
    t.match(await handler(event, {}, undefined), { statusCode: 200 })
  }
  await assertCounted(t, app, [['/users/:id GET 200', 3]])
  assertDocumented(t, {
    library: '@h4ad/serverless-adapter',
    counted: 'requests and answers',
    notCounted: 'malformed URLs, which Fastify answers before any hook',
  })
})

t.test(
  'a request whose socket is a plain object throws nothing into its caller, and is counted when its answer is taken',
  async (t) => {
    const app = await build(t)
    const request = new IncomingMessage({ remoteAddress: '127.0.0.1' } as never)
    Object.assign(request, { method: 'GET', url: '/users/1', headers: {} })
    request.push(null)
    const response = new ServerResponse(request)
    t.doesNotThrow(() => app.server.emit('request', request, response))
    // Takes what is written: a response that nobody takes never finishes.
    response.assignSocket(new PassThrough() as never)
    await until('the request to be counted', async () => {
      const exposition = await settledExposition(app)
      return exposition.counts('http_requests_total', REQUEST_LABELS).get('/users/:id GET 200') === 1
    })
    await assertCounted(t, app, [['/users/:id GET 200', 1]])
  },
)

t.test('what the server breaks under inject() is truncated', async (t) => {
  const app = await build(t)
  await t.rejects(app.inject('/broken'))
  await assertCounted(t, app, [['/broken GET 499', 1]], [['/broken truncated', 1]])
})

t.test('a client of inject() that leaves is a client that left', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  const controller = new AbortController()
  app.get('/slow', () => {
    controller.abort()
    return new Promise(() => {})
  })
  await t.rejects(app.inject({ url: '/slow', signal: controller.signal }))
  await assertCounted(t, app, [['/slow GET 499', 1]], [['/slow before_headers', 1]])
})

t.test('requests through @fastify/http-proxy are counted, whatever becomes of the server behind it', async (t) => {
  const upstream = http.createServer((request, response) => {
    if (request.url === '/resets') request.socket.resetAndDestroy()
    else response.end('from behind')
  })
  upstream.listen(0, '127.0.0.1')
  t.teardown(() => upstream.close())
  await once(upstream, 'listening')
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  const { port } = upstream.address() as AddressInfo
  await app.register(httpProxy, { upstream: `http://127.0.0.1:${port}`, prefix: '/api' })
  t.equal((await app.inject('/api/fine')).body, 'from behind')
  const failed = (await app.inject('/api/resets')).statusCode
  t.ok(failed >= 500)
  await assertCounted(t, app, [
    ['/api/* GET 200', 1],
    [`/api/* GET ${failed}`, 1],
  ])
  assertDocumented(t, {
    library: '@fastify/http-proxy',
    counted: 'requests and answers, with the endpoint `<prefix>/*`',
    notCounted: 'paths behind the prefix',
  })
})

t.test('requests of mercurius are counted as the one route that they are, and subscriptions as streams', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  await app.register(mercurius, {
    schema: 'type Query { one: Int } type Subscription { two: Int }',
    resolvers: { Query: { one: () => 1 } },
    subscription: true,
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const query = async (text: string) =>
    (await app.inject({ method: 'POST', url: '/graphql', payload: { query: text } })).statusCode
  t.equal(await query('{ one }'), 200)
  t.equal(await query('{ none }'), 400)
  const { port } = app.server.address() as AddressInfo
  const client = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws')
  await once(client, 'open')
  client.terminate()
  await assertCounted(t, app, [
    ['/graphql POST 200', 1],
    ['/graphql POST 400', 1],
    ['/graphql GET 101', 1],
  ])
  const exposition = await settledExposition(app)
  t.equal(exposition.counts('http_stream_duration_seconds_count', ['endpoint']).get('/graphql'), 1)
  assertDocumented(t, {
    library: 'mercurius',
    counted: 'requests and answers of `/graphql`, and subscriptions as streams',
    notCounted: 'operations and resolvers; errors in an answer with status 200',
  })
})
