import { once } from 'node:events'
import http from 'node:http'
import t from 'tap'
import { listen } from './helpers.ts'
import { buildApp } from './traffic/app.ts'
import { settledExposition } from './traffic/exposition.ts'

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
