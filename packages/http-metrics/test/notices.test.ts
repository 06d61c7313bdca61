import { once } from 'node:events'
import net from 'node:net'
import { metricsCore } from '@data20/metrics-core'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'
import { listen, REQUEST_LABELS, statusOf } from './helpers.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'

t.test(
  'a registration in an encapsulated part, as by fastify-cli, counts its routes and what has no route',
  async (t) => {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } } })
    let inside: FastifyInstance = app
    app.get('/outside', async () => 'ok')
    // fastify-cli registers the application so, and @fastify/autoload its plugins and routes within.
    await app.register(async (child) => {
      await child.register(httpMetrics)
      await child.register(async (routes) => routes.get('/inside', async () => 'ok'))
      child.get('/slow', () => new Promise(() => {}))
      inside = child
    })
    await app.register(
      async (sibling) => {
        sibling.get('/sibling', async () => 'ok')
        sibling.setNotFoundHandler(async (_request, reply) => reply.code(410).send('gone'))
      },
      { prefix: '/v2' },
    )
    const client = await listen(t, app)
    const paths = ['/inside', '/outside', '/nowhere', '/v2/sibling', '/v2/sibling', '/v2/nowhere', '/%zz']
    for (const path of paths) await statusOf(client, path)
    // Without a Host, and bytes that are no request.
    for (const bytes of ['GET /inside HTTP/1.1\r\n\r\n', 'NONSENSE\r\n\r\n']) {
      const socket = net.connect(client.port, '127.0.0.1').resume()
      socket.write(bytes)
      await once(socket, 'close')
    }
    // Its answer waits for the slow one's until the client has left.
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
      ['unmatched GET 400', 2],
      ['unmatched GET 404', 1],
      ['unmatched GET 410', 1],
    ])
    t.strictSame([...exposition.counts('http_parser_errors_total', ['code'])], [['HPE_INVALID_METHOD', 1]])
    t.equal(lines.length, 1)
    t.match(lines[0], /does not count the routes outside of it.*fastify-plugin/)
  },
)

t.test('two parts with registries of their own count each request once', async (t) => {
  const app = Fastify()
  const parts: FastifyInstance[] = []
  for (const name of ['one', 'two']) {
    await app.register(async (part) => {
      await part.register(metricsCore, { path: `/metrics/${name}` })
      await part.register(httpMetrics)
      part.get(`/${name}`, async () => 'ok')
      parts.push(part)
    })
  }
  const client = await listen(t, app)
  for (const path of ['/one', '/two', '/two', '/nowhere', '/%zz']) await statusOf(client, path)
  const counts = new Map<string, number>()
  for (const part of parts) {
    const exposition = await settledExposition(part)
    for (const [key, count] of exposition.counts('http_requests_total', REQUEST_LABELS)) {
      counts.set(key, (counts.get(key) ?? 0) + count)
    }
  }
  t.strictSame(sorted(counts), [
    ['/one GET 200', 1],
    ['/two GET 200', 2],
    ['unmatched GET 400', 1],
    ['unmatched GET 404', 1],
  ])
})

t.test('more than 20,000 initial series are made at the first request of each route', async (t) => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } } })
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  for (let route = 0; route < 1000; route += 1) app.get(`/${route}`, { exposeHeadRoute: false }, async () => 'ok')
  await app.ready()
  const statuses = async () => {
    const { samples } = await settledExposition(app)
    const found = samples.filter(({ name }) => name === 'http_requests_total')
    return found.map(({ labels: { endpoint, status }, value }) => `${endpoint} ${status} ${value}`)
  }
  t.strictSame(await statuses(), [])
  await app.inject('/7')
  t.strictSame(await statuses(), ['/7 200 1', '/7 400 0', '/7 500 0'])
  t.equal(lines.length, 1)
  t.match(lines[0], /"series":23000.*initial series/)
})
