import { EventEmitter } from 'eventemitter3'
import Fastify from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'
import { REQUEST_LABELS } from './helpers.ts'
import { settledExposition } from './traffic/exposition.ts'

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
