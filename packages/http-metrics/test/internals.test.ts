import { once } from 'node:events'
import { createRequire } from 'node:module'
import net, { type AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'
import { REQUEST_LABELS } from './helpers.ts'
import { buildApp } from './traffic/app.ts'
import { settledExposition } from './traffic/exposition.ts'

t.test('the second address of localhost is observed too', async (t) => {
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
