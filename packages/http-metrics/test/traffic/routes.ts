/** Routes as applications have them: some answer well, some end in every way that is wrong. */
import type http2 from 'node:http2'
import { pipeline, Readable } from 'node:stream'
import { until } from '@data20/dev-services'
import type { FastifyPluginAsync } from 'fastify'

/** Routes whose handler answers through Fastify. */
export const answeringRoutes: FastifyPluginAsync = async (app) => {
  app.get('/fast/:id', async () => ({ ok: true }))
  app.get('/error', async () => {
    throw new Error('on purpose')
  })
  app.get('/method-not-allowed', async (_request, reply) => reply.code(405).send('no'))
  app.options('/fast/:id', async (_request, reply) => reply.code(204).send())
  app.post(
    '/validated',
    { schema: { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } } },
    async () => 'ok',
  )
  app.get('/forgotten-return', async (_request, reply) => {
    reply.code(404).send('not found')
    return reply.code(200).send('found')
  })
  app.get('/later', async () => {
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    return 'late'
  })
  app.post('/upload', { bodyLimit: 10_000_000 }, async () => 'ok')
  app.post('/limited', { bodyLimit: 100 }, async () => 'ok')
  app.get('/denied/:id', async () => 'never')
}

/** Routes that stream, to their end or not. */
export const streamingRoutes: FastifyPluginAsync = async (app) => {
  app.get('/events', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    let sent = 0
    const timer = setInterval(() => {
      reply.raw.write(`data: ${sent}\n\n`)
      sent += 1
      if (sent === 3) reply.raw.end()
    }, 10)
    reply.raw.on('close', () => clearInterval(timer))
  })
  app.get('/event-stream', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => reply.raw.write('data: 1\n\n'), 5)
    reply.raw.on('close', () => clearInterval(timer))
  })
  app.get('/endless', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/plain' })
    const timer = setInterval(() => reply.raw.write('more\n'), 5)
    reply.raw.on('close', () => clearInterval(timer))
  })
  app.get('/large', async (_request, reply) => {
    reply.header('content-type', 'application/octet-stream')
    return Readable.from(pieces(16, 65_536))
  })
  app.get('/broken', async (_request, reply) => {
    reply.header('content-type', 'application/octet-stream')
    return Readable.from(pieces(2, 1024, new Error('broken half-way')))
  })
  app.get('/broken-pipeline', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200)
    // The error that a proxy gets when the server behind it resets the connection.
    const error = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })
    pipeline(Readable.from(pieces(2, 1024, error)), reply.raw, () => {})
  })
  app.get('/thrown-late', async (_request, reply) => {
    reply.raw.writeHead(200).write('a beginning')
    throw new Error('half-way')
  })
  app.route({
    method: ['GET', 'HEAD'],
    url: '/piped',
    handler(_request, reply) {
      reply.hijack()
      reply.raw.writeHead(200)
      Readable.from(pieces(2, 1024)).pipe(reply.raw)
    },
  })
  app.register(async (child) => {
    child.addContentTypeParser('application/octet-stream', (_request, _body, done) => done(null))
    child.post('/echo', (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      pipeline(request.raw, reply.raw, () => {})
    })
  })
}

/** Routes that answer past Fastify, on the raw response or on its socket. */
export const rawRoutes: FastifyPluginAsync = async (app) => {
  app.get('/hijacked', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(203).end('raw')
  })
  app.get('/shown-out', async ({ raw: { socket } }, reply) => {
    reply.raw.on('finish', () => socket.destroy())
    return reply.code(429).send('enough')
  })
  app.get('/native', (_request, reply) => {
    reply.hijack()
    const { stream } = reply.raw as unknown as http2.Http2ServerResponse
    stream.respond({ ':status': 404 })
    stream.end('no')
  })
  app.get('/dropped', (request, reply) => {
    reply.hijack()
    // The error of an aborted fetch(), whose code is a number.
    request.raw.destroy(AbortSignal.abort().reason)
  })
  app.get('/socket', ({ raw: { socket } }, reply) => {
    reply.hijack()
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n')
  })
  app.get('/refused', ({ raw: { socket } }, reply) => {
    reply.hijack()
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
  })
}

/** Routes that do not answer in time, or whose client does not read. */
export const waitingRoutes: FastifyPluginAsync = async (app) => {
  app.get('/timeout', { handlerTimeout: 20 }, () => new Promise(() => {}))
  app.route({ method: ['GET', 'POST'], url: '/slow', handler: () => new Promise(() => {}) })
  app.get('/stalled', async (request, reply) => {
    const { socket } = request.raw
    // More than the buffers of a connection hold.
    reply.send(Buffer.alloc(30_000_000))
    if (request.headers['x-destroy'] === undefined) return reply
    await until('the answer to stall', () => reply.raw.headersSent && socket.writableLength > 0)
    socket.destroy()
    return reply
  })
}

async function* pieces(count: number, bytes: number, error?: Error): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < count; piece += 1) {
    yield Buffer.alloc(bytes, 'x')
    await new Promise(setImmediate)
  }
  if (error) throw error
}
