import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { assertDocumented } from '@data20/dev-services'
import { fastifyRequestContext, requestContext } from '@fastify/request-context'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import httpMetrics, { type CustomLabel } from '../src/index.ts'
import { listen } from './helpers.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'

declare module '@fastify/request-context' {
  interface RequestContextData {
    tenant: string
  }
}

const tenant: CustomLabel = { values: ['a', 'b'], value: () => requestContext.get('tenant') }

/** Makes an application whose tenant is in the request context from some hook on. */
async function build(
  t: Test,
  { hook, ...server }: { hook: 'onRequest' | 'preValidation' | 'preHandler'; http2?: true },
): Promise<FastifyInstance> {
  const app = Fastify(server as object)
  t.teardown(() => app.close())
  await app.register(httpMetrics, { labels: { tenant } })
  await app.register(fastifyRequestContext, { hook })
  app.addHook(hook, async (request) => {
    requestContext.set('tenant', request.headers['x-tenant'] as string)
  })
  app.addHook('preHandler', async (request, reply) => {
    if (request.url === '/denied') return reply.code(401).send('denied')
  })
  app.get('/whole', async () => 'ok')
  app.post('/whole', async () => 'ok')
  app.get('/denied', async () => 'never')
  app.get('/slow', () => new Promise(() => {}))
  app.get('/endless', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200)
    reply.raw.write('a beginning')
  })
  return app
}

/** Every kind of request, and the tenant that it is counted for. */
const EXCHANGES = ['GET /whole', 'POST /whole', 'GET /denied', 'GET /slow', 'GET /endless']
const EXPECTED: Array<[string, number]> = [
  ['/denied GET 401 a', 1],
  ['/endless GET 200 a', 1],
  ['/slow GET 499 a', 1],
  ['/whole GET 200 a', 1],
  ['/whole POST 200 a', 1],
]

async function assertTenants(t: Test, app: FastifyInstance, expected: Array<[string, number]>): Promise<void> {
  const exposition = await settledExposition(app)
  const labels = ['endpoint', 'method', 'status', 'tenant']
  t.strictSame(sorted(exposition.counts('http_requests_total', labels)), expected)
}

for (const hook of ['onRequest', 'preValidation', 'preHandler'] as const) {
  t.test(
    `a label has the value that @fastify/request-context holds from ${hook} on, however the request ends`,
    async (t) => {
      const app = await build(t, { hook })
      const { port } = await listen(t, app)
      const headers = { 'x-tenant': 'a', 'content-type': 'application/json' }
      for (const exchange of EXCHANGES) {
        const [method, path] = exchange.split(' ') as [string, string]
        const arrived = once(app.server, 'request')
        const request = http.request({ port, host: '127.0.0.1', method, path, headers, agent: false })
        request.on('error', () => {})
        request.end(method === 'POST' ? '{}' : undefined)
        if (path === '/slow') {
          await arrived
          await new Promise((resolve) => setTimeout(resolve, 20))
          request.destroy()
          continue
        }
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        if (path === '/endless') request.destroy()
        else await once(response.resume(), 'end')
      }
      await assertTenants(t, app, EXPECTED)
    },
  )
}

t.test('and so over HTTP/2', async (t) => {
  const app = await build(t, { hook: 'onRequest', http2: true })
  const { port } = await listen(t, app)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  t.teardown(() => session.destroy())
  for (const exchange of EXCHANGES) {
    const [method, path] = exchange.split(' ') as [string, string]
    const headers = { ':method': method, ':path': path, 'x-tenant': 'a', 'content-type': 'application/json' }
    const arrived = once(app.server, 'request')
    const stream = session.request(headers)
    stream.on('error', () => {})
    stream.end(method === 'POST' ? '{}' : undefined)
    await arrived
    if (path === '/endless') await once(stream, 'data')
    if (path === '/slow') await new Promise((resolve) => setTimeout(resolve, 20))
    if (path === '/slow' || path === '/endless') stream.close(http2.constants.NGHTTP2_CANCEL)
    stream.resume()
    if (!stream.closed) await once(stream, 'close')
  }
  await assertTenants(t, app, EXPECTED)
  assertDocumented(t, {
    library: '@fastify/request-context',
    counted: 'custom labels read the context of the request, however it ended',
    notCounted: 'what a handler changes by `AsyncLocalStorage.enterWith()`',
  })
})

t.test('a promise counts as `other` and as an error, and its rejection ends nothing', async (t) => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const mistakes = {
    rejected: async () => {
      throw new Error('on purpose')
    },
    resolved: async () => 'a',
    thenable: () => ({
      // biome-ignore lint/suspicious/noThenProperty: what a query builder is.
      then: () => t.fail('began the query'),
    }),
    number: () => 1,
  }
  for (const [name, value] of Object.entries(mistakes)) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(httpMetrics, { labels: { tenant: { values: ['a'], value: value as never } } })
    app.get('/', async () => 'ok')
    for (let request = 0; request < 2; request += 1) await app.inject('/')
    const exposition = await settledExposition(app)
    t.strictSame([...exposition.counts('http_requests_total', ['tenant'])], [['other', 2]], name)
    const errors = exposition.counts('metrics_errors_total', ['plugin']).get('http-metrics') ?? 0
    t.equal(errors, name === 'number' ? 0 : 2, `${name}: errors`)
  }
  await new Promise(setImmediate)
  t.strictSame(unhandled, [])
})

t.test('statuses start at 0 with every combination of the known values', async (t) => {
  const series = async (options: object) => {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } } })
    t.teardown(() => app.close())
    await app.register(httpMetrics, options)
    app.get('/known', async () => 'ok')
    await app.ready()
    const { samples } = await settledExposition(app)
    const found = samples.filter(({ name, labels }) => name === 'http_requests_total' && labels.endpoint === '/known')
    return { series: found.map(({ labels: { status, ...rest } }) => `${status} ${rest.tenant} ${rest.tier}`), lines }
  }
  const value = () => undefined
  const labels = { tenant: { values: ['a', 'b'], value }, tier: { values: ['x'], value } }
  t.strictSame((await series({ labels })).series, [])
  t.strictSame((await series({ labels, initialize: [200, 500] })).series.sort(), [
    '200 a x',
    '200 b x',
    '500 a x',
    '500 b x',
  ])
  // A hundred million combinations.
  const values = Array.from({ length: 100 }, (_, index) => `${index}`)
  const many = { one: { values, value }, two: { values, value }, three: { values, value }, four: { values, value } }
  const { series: none, lines } = await series({ labels: many, initialize: [200] })
  t.strictSame(none, [])
  t.equal(lines.length, 1)
})
