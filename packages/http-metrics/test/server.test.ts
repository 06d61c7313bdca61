import { once } from 'node:events'
import http from 'node:http'
import { until } from '@data20/dev-services'
import { EventEmitter } from 'eventemitter3'
import Fastify, {
  type FastifyInstance,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
} from 'fastify'
import t, { type Test } from 'tap'
import httpMetrics from '../src/index.ts'
import { connectTo, REQUEST_LABELS } from './helpers.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'

type Handler = (request: RawRequestDefaultExpression, response: RawReplyDefaultExpression) => void

t.test('a server that is no emitter of Node.js, as that of fastify-uws, is observed', async (t) => {
  class Server extends EventEmitter {
    listen(): void {}
    setTimeout(): void {}
    close(done?: () => void): void {
      done?.()
    }
  }
  const options: object = { serverFactory: () => new Server() }
  const app = Fastify(options)
  await app.register(httpMetrics)
  app.get('/', async () => 'ok')
  t.equal((await app.inject('/')).statusCode, 200)
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/ GET 200', 1]])
})

/** Makes an application with the route `/<name>`. */
async function build(t: Test, name: string, options: object = {}, isMeasured = true): Promise<FastifyInstance> {
  const app = Fastify(options)
  t.teardown(() => app.close())
  if (isMeasured) await app.register(httpMetrics)
  app.get(`/${name}`, async () => name)
  await app.ready()
  return app
}

/** Sends two requests to the application a, three to b, one that nobody has, and bytes that are no request. */
async function send(server: http.Server): Promise<void> {
  for (const path of ['a', 'a', 'b', 'b', 'b', 'a/nowhere', 'b/%zz']) {
    const socket = await connectTo(server)
    socket.end(`GET /${path} HTTP/1.1\r\nHost: ${path[0]}\r\nConnection: close\r\n\r\n`)
    await once(socket.resume(), 'close')
  }
  for (const bytes of ['GET /a HTTP/1.1\r\n\r\n', 'NONSENSE\r\n\r\n']) {
    const socket = await connectTo(server)
    socket.write(bytes)
    await once(socket.resume(), 'close')
  }
}

interface Counted {
  a: Array<[string, number]>
  b: Array<[string, number]>
  /** Of both: requests that no hook has seen. */
  unseen: number
  parserErrors: number
}

const ROUTED = {
  a: [
    ['/a GET 200', 2],
    ['unmatched GET 404', 1],
  ] as Array<[string, number]>,
  b: [['/b GET 200', 3]] as Array<[string, number]>,
}

async function assertCounts(
  t: Test,
  apps: { a: FastifyInstance; b: FastifyInstance },
  counted: Counted,
): Promise<void> {
  const isSeen = ([key]: [string, number]) => !key.endsWith(' 400')
  const expositions = { a: await settledExposition(apps.a), b: await settledExposition(apps.b) }
  const requests = (name: 'a' | 'b') => sorted(expositions[name].counts('http_requests_total', REQUEST_LABELS))
  t.strictSame(requests('a').filter(isSeen), counted.a)
  t.strictSame(requests('b').filter(isSeen), counted.b)
  const unseen = [...requests('a'), ...requests('b')].filter((one) => !isSeen(one))
  t.equal(
    unseen.reduce((sum, [, count]) => sum + count, 0),
    counted.unseen,
    'each request that no hook has seen',
  )
  const errors = [expositions.a, expositions.b].map((one) => one.counts('http_parser_errors_total', []).get('') ?? 0)
  t.equal(errors[0]! + errors[1]!, counted.parserErrors, 'each parser error')
}

for (const order of [
  ['a', 'b'],
  ['b', 'a'],
] as const) {
  t.test(`applications that share a server count their own requests, registered as ${order}`, async (t) => {
    const handlers: Record<string, Handler> = {}
    const server = http.createServer((request, response) => handlers[request.headers.host!]!(request, response))
    t.teardown(() => server.close())
    const apps: Record<string, FastifyInstance> = {}
    for (const name of order) {
      const serverFactory = (handler: Handler) => {
        handlers[name] = handler
        return server
      }
      apps[name] = await build(t, name, { serverFactory })
    }
    await send(server)
    await assertCounts(t, apps as { a: FastifyInstance; b: FastifyInstance }, { ...ROUTED, unseen: 2, parserErrors: 1 })
  })

  for (const way of ['routing', 'emit'] as const) {
    t.test(`an application that listens and gives requests away by ${way} counts its own, as ${order}`, async (t) => {
      const apps: Record<string, FastifyInstance> = {}
      for (const name of order) apps[name] = await build(t, name)
      const { a, b } = apps as { a: FastifyInstance; b: FastifyInstance }
      const [own] = a.server.listeners('request').slice(-1) as [Handler]
      a.server.off('request', own)
      a.server.on('request', (request, response) => {
        if (!request.url!.startsWith('/b')) own.call(a.server, request, response)
        else if (way === 'routing') b.routing(request, response)
        else b.server.emit('request', request, response)
      })
      await a.listen({ port: 0, host: '127.0.0.1' })
      await send(a.server)
      await assertCounts(t, { a, b }, { ...ROUTED, unseen: 2, parserErrors: 1 })
    })

    t.test(
      `applications that a server of Node.js gives requests to by ${way} count their own, as ${order}`,
      async (t) => {
        const apps: Record<string, FastifyInstance> = {}
        for (const name of order) apps[name] = await build(t, name)
        const { a, b } = apps as { a: FastifyInstance; b: FastifyInstance }
        const server = http.createServer((request, response) => {
          const app = request.headers.host === 'b' ? b : a
          if (way === 'routing') app.routing(request, response)
          else app.server.emit('request', request, response)
        })
        t.teardown(() => server.close())
        await send(server)
        await assertCounts(t, { a, b }, { ...ROUTED, unseen: way === 'routing' ? 0 : 1, parserErrors: 0 })
      },
    )
  }
}

t.test('an application whose server answers other requests too counts its own', async (t) => {
  let own: Handler
  const other = await build(t, 'b', {}, false)
  const server = http.createServer((request, response) => {
    if (request.headers.host === 'b') other.routing(request, response)
    else if (request.headers.host === 'plain') response.end('plain')
    else own(request, response)
  })
  t.teardown(() => server.close())
  const serverFactory = (handler: Handler) => {
    own = handler
    return server
  }
  const app = await build(t, 'a', { serverFactory })
  await send(server)
  const socket = await connectTo(server)
  socket.end('GET /a HTTP/1.1\r\nHost: plain\r\n\r\nGET /%zz HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket.resume(), 'close')
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
    ['/a GET 200', 2],
    // Without a Host, and two malformed URLs: nothing tells which application answered those.
    ['unmatched GET 400', 3],
    ['unmatched GET 404', 1],
  ])
})

t.test('a request that ended before its application was found is counted by that application', async (t) => {
  let own: Handler
  const server = http.createServer(async (request, response) => {
    await once(response, 'close')
    own(request, response)
  })
  t.teardown(() => server.close())
  const serverFactory = (handler: Handler) => {
    own = handler
    return server
  }
  const app = await build(t, 'a', { serverFactory })
  const socket = await connectTo(server)
  socket.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(server, 'request')
  socket.destroy()
  await until('the request to be counted', async () => {
    const exposition = await settledExposition(app)
    return exposition.counts('http_requests_total', REQUEST_LABELS).get('/a GET 499') === 1
  })
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_total', REQUEST_LABELS)], [['/a GET 499', 1]])
  t.strictSame([...exposition.counts('http_requests_aborted_total', ['phase'])], [['before_headers', 1]])
})
