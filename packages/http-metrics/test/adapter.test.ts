import { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { until } from '@data20/dev-services'
import { ServerlessAdapter } from '@h4ad/serverless-adapter'
import { ApiGatewayV2Adapter } from '@h4ad/serverless-adapter/adapters/aws'
import { FastifyFramework } from '@h4ad/serverless-adapter/frameworks/fastify'
import { DefaultHandler } from '@h4ad/serverless-adapter/handlers/default'
import { PromiseResolver } from '@h4ad/serverless-adapter/resolvers/promise'
import Fastify, { type FastifyInstance } from 'fastify'
import { toFetchResponse, toReqRes } from 'fetch-to-node'
import t, { type Test } from 'tap'
import httpMetrics from '../src/index.ts'
import { REQUEST_LABELS } from './helpers.ts'
import { settledExposition } from './traffic/exposition.ts'

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
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], requests)
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
