import { once } from 'node:events'
import { open, stat } from 'node:fs/promises'
import http from 'node:http'
import http2 from 'node:http2'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { listen } from './helpers.ts'
import { buildApp } from './traffic/app.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'

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

t.test('sizes of HTTP/2 are those of the stream, however it is written to', async (t) => {
  const app = await buildApp({ sizes: true }, { http2: true })
  const file = fileURLToPath(import.meta.url)
  const answers: Record<string, (response: http2.Http2ServerResponse) => void> = {
    '/file': ({ stream }) => stream.respondWithFile(file),
    '/stream': ({ stream }) => {
      stream.respond({ ':status': 200 })
      stream.write('12345')
      stream.end('67')
    },
    '/response': (response) => {
      response.writeHead(200)
      response.write('123')
      response.end('4')
    },
  }
  for (const [url, answer] of Object.entries(answers)) {
    app.get(url, (_request, reply) => {
      reply.hijack()
      answer(reply.raw as unknown as http2.Http2ServerResponse)
    })
  }
  // Node.js does not say how long a file is that it was given open.
  const handle = await open(file)
  t.teardown(() => handle.close())
  app.get('/descriptor', (_request, reply) => {
    reply.hijack()
    ;(reply.raw as unknown as http2.Http2ServerResponse).stream.respondWithFD(handle.fd, { ':status': 200 })
  })
  const { port } = await listen(t, app)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  t.teardown(() => session.close())
  for (const path of [...Object.keys(answers), '/descriptor', '/fast/1']) {
    await once(session.request({ ':path': path }).resume(), 'close')
  }
  const exposition = await settledExposition(app)
  t.strictSame(sorted(exposition.counts('http_response_size_bytes_sum', ['endpoint'])), [
    ['/fast/:id', 11],
    ['/file', (await stat(file)).size],
    ['/response', 4],
    ['/stream', 7],
  ])
  t.equal(exposition.counts('http_requests_total', ['endpoint']).get('/descriptor'), 1)
  t.equal(exposition.counts('http_response_size_bytes_count', ['endpoint']).get('/descriptor'), undefined)
})

for (const server of [{}, { http2: true }] as const) {
  t.test(
    `responseStart measures the time to the headers over ${'http2' in server ? 'HTTP/2' : 'HTTP/1.1'}`,
    async (t) => {
      const app = await buildApp({ responseStart: true, buckets: [0.1, 1000] }, server)
      app.get('/body-is-slow', (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200)
        reply.raw.write('a beginning')
        setTimeout(() => reply.raw.end('an end'), 150)
      })
      const { port } = await listen(t, app)
      if ('http2' in server) {
        const session = http2.connect(`http://127.0.0.1:${port}`)
        t.teardown(() => session.close())
        await once(session.request({ ':path': '/body-is-slow' }).resume(), 'close')
      } else {
        const [response] = await once(http.get({ port, host: '127.0.0.1', path: '/body-is-slow' }), 'response')
        await once(response.resume(), 'end')
      }
      const exposition = await settledExposition(app)
      const sum = (name: string) => exposition.counts(`${name}_sum`, ['endpoint']).get('/body-is-slow')!
      t.equal(exposition.counts('http_response_start_seconds_count', ['endpoint']).get('/body-is-slow'), 1)
      t.ok(sum('http_request_duration_seconds') >= sum('http_response_start_seconds') + 0.14)
    },
  )
}
