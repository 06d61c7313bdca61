/** The application under test: every kind of route, before and after the plugin, in children and under prefixes. */
import { EventEmitter } from 'node:events'
import http from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type net from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import httpMetrics, { type HttpMetricsOptions } from '../../src/index.ts'
import { answeringRoutes, rawRoutes, streamingRoutes, waitingRoutes } from './routes.ts'

/** Builds it. Whoever builds it closes it. */
export async function buildApp(options: HttpMetricsOptions = {}, server: object = {}): Promise<FastifyInstance> {
  const app = Fastify({ ...server, forceCloseConnections: true })
  app.addHook('onRequest', (request, reply, done) => {
    if (request.url.includes('/denied/')) reply.code(401).send('denied')
    else done()
  })
  app.get('/before/:id', async () => 'before')
  app.register(async (child) => child.get('/items/:id', async () => 'item'), { prefix: '/early-child' })
  await app.register(httpMetrics, options)
  for (const routes of [answeringRoutes, streamingRoutes, rawRoutes, waitingRoutes]) await app.register(routes)
  app.register(async (child) => child.get('/items/:id', async () => 'item'), { prefix: '/late-child' })
  app.addHttpMethod('REPORT')
  app.route({ method: 'REPORT', url: '/report', handler: async () => 'report' })
  app.server.on('request', announce)
  // The way in which plugins for WebSockets do it.
  app.server.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
    announce(request)
    const response = new http.ServerResponse(request)
    response.assignSocket(socket)
    socket.on('end', () => socket.end()).resume()
    app.routing(request, response)
  })
  return app
}

const arrivals = new EventEmitter().setMaxListeners(0)

function announce(request: http.IncomingMessage | Http2ServerRequest): void {
  arrivals.emit(`${request.headers['x-arrival'] ?? request.socket.remotePort}`)
}

/**
 * Resolves when the server has received that many requests of a sender, and their handlers have run. A sender is the
 * local port of a connection, or the value of the header `x-arrival`.
 */
export async function arrived(sender: string, requests = 1): Promise<void> {
  let missing = requests
  await new Promise<void>((resolve) => {
    arrivals.on(sender, function count() {
      missing -= 1
      if (missing > 0) return
      arrivals.off(sender, count)
      resolve()
    })
  })
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate)
}
