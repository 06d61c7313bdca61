import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import t from 'tap'
import WebSocket from 'ws'
import httpMetrics from '../src/index.ts'
import { assertEachAlone } from './helpers.ts'
import { upgradeExchanges } from './traffic/upgrade.ts'

t.test('each kind of upgrade is counted as the client saw it', (t) => assertEachAlone(t, upgradeExchanges))

t.test('a wrapper that another plugin puts around the socket of a WebSocket stays', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  await app.register(websocket)
  let metered = 0
  app.addHook('onRequest', async ({ raw: { socket } }) => {
    const { write } = socket
    socket.write = function metering(this: typeof socket, chunk: string | Uint8Array, ...rest: unknown[]) {
      metered += chunk.length
      return Reflect.apply(write, this, [chunk, ...rest])
    } as typeof write
  })
  app.get('/socket', { websocket: true }, (socket) => {
    socket.on('message', () => socket.send('x'.repeat(1000)))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })

  const client = new WebSocket(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/socket`)
  await once(client, 'open')
  const answer = once(client, 'message')
  client.send('please')
  await answer
  client.terminate()

  t.ok(metered > 1000, `${metered} bytes: the handshake and what followed`)
})
