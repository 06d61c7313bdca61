/**
 * A server with every kind of route and a client that keeps a ledger of what it sent and saw: the exact counts that
 * `/metrics` has to agree with.
 */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { type ExpositionSample, readSamples } from '@data20/dev-services'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import httpMetrics, { type HttpMetricsOptions } from '../src/index.ts'

/** Routes as applications have them; some end well, some in every way that is wrong. */
const routes: FastifyPluginAsync = async (app) => {
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
  app.get('/timeout', { handlerTimeout: 20 }, () => new Promise(() => {}))
  app.get('/hijacked', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(203).end('raw')
  })
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
  app.get('/endless', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => reply.raw.write('data: 1\n\n'), 5)
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
    // What a proxy gets when the server behind it resets the connection.
    const error = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })
    pipeline(Readable.from(pieces(2, 1024, error)), reply.raw, () => {})
  })
  app.get('/thrown-late', async (_request, reply) => {
    reply.raw.writeHead(200).write('a beginning')
    throw new Error('half-way')
  })
  app.get('/shown-out', async ({ raw: { socket } }, reply) => {
    reply.raw.on('finish', () => socket.destroy())
    return reply.code(429).send('enough')
  })
  app.get('/forgotten-return', async (_request, reply) => {
    reply.code(404).send('not found')
    return reply.code(200).send('found')
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
  app.get('/native', (_request, reply) => {
    reply.hijack()
    const { stream } = reply.raw as unknown as http2.Http2ServerResponse
    stream.respond({ ':status': 404 })
    stream.end('no')
  })
  app.register(async (child) => {
    child.addContentTypeParser('application/octet-stream', (_request, _body, done) => done(null))
    child.post('/echo', (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      pipeline(request.raw, reply.raw, () => {})
    })
  })
  app.get('/dropped', (request, reply) => {
    reply.hijack()
    // An error as fetch() gives it, with a number for a code.
    request.raw.destroy(AbortSignal.abort().reason)
  })
  app.get('/later', async () => {
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    return 'late'
  })
  app.get('/socket', ({ raw: { socket } }, reply) => {
    reply.hijack()
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n')
  })
  app.get('/refused', ({ raw: { socket } }, reply) => {
    reply.hijack()
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
  })
  app.get('/stalled', (request, reply) => {
    // More than the buffers of a connection hold.
    reply.send(Buffer.alloc(30_000_000))
    if (request.headers['x-destroy'] !== undefined) setTimeout(() => request.raw.socket.destroy(), 20)
  })
  app.route({ method: ['GET', 'POST'], url: '/slow', handler: () => new Promise(() => {}) })
  app.post('/upload', { bodyLimit: 10_000_000 }, async () => 'ok')
  app.post('/limited', { bodyLimit: 100 }, async () => 'ok')
  app.get('/denied/:id', async () => 'never')
}

async function* pieces(count: number, bytes: number, error?: Error): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < count; piece += 1) {
    yield Buffer.alloc(bytes, 'x')
    await new Promise(setImmediate)
  }
  if (error) throw error
}

/** The application under test: routes before and after the plugin, in children and under prefixes. */
export async function buildApp(options: HttpMetricsOptions = {}, server: object = {}): Promise<FastifyInstance> {
  const app = Fastify({ ...server, forceCloseConnections: true })
  app.addHook('onRequest', (request, reply, done) => {
    if (request.url.includes('/denied/')) reply.code(401).send('denied')
    else done()
  })
  app.get('/before/:id', async () => 'before')
  app.register(async (child) => child.get('/items/:id', async () => 'item'), { prefix: '/early-child' })
  await app.register(httpMetrics, options)
  await app.register(routes)
  app.register(async (child) => child.get('/items/:id', async () => 'item'), { prefix: '/late-child' })
  app.addHttpMethod('REPORT')
  app.route({ method: 'REPORT', url: '/report', handler: async () => 'report' })
  // As the plugins for WebSockets do it.
  app.server.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
    const response = new http.ServerResponse(request)
    response.assignSocket(socket)
    socket.on('end', () => socket.end()).resume()
    app.routing(request, response)
  })
  return app
}

/** Counts by series, as the client knows them. */
export class Ledger {
  readonly requests = new Map<string, number>()
  readonly aborted = new Map<string, number>()
  readonly parserErrors = new Map<string, number>()

  request(endpoint: string, method: string, status: number, phase?: string): void {
    add(this.requests, `${endpoint} ${method} ${status}`)
    if (phase !== undefined) add(this.aborted, `${endpoint} ${method} ${phase}`)
  }

  parserError(code: string): void {
    add(this.parserErrors, code)
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** One kind of exchange: performs it and enters it into the ledger. */
export type Exchange = (client: Client, ledger: Ledger) => Promise<void>

export interface Client {
  port: number
  agent: http.Agent
  app: FastifyInstance
}

/** Sends and reads the whole response; resolves to its status. */
async function complete(
  { port, agent }: Client,
  method: string,
  path: string,
  body?: string,
  headers: http.OutgoingHttpHeaders = {},
): Promise<number> {
  const request = http.request({ port, host: '127.0.0.1', agent, method, path, headers })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.resume()
  await once(response, 'end')
  return response.statusCode as number
}

/** Writes bytes, and hangs up as told; resolves to what was received when the connection is closed. */
async function raw(
  { port }: Client,
  bytes: string,
  hangUp: 'never' | 'with the request' | 'once sent' | 'at first bytes',
  reset = false,
): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: hangUp === 'with the request' })
  let received = ''
  // A server that ends the connection before it has read everything resets it: that is an end too.
  const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve))
  socket.on('data', (data) => {
    received += data.toString('latin1')
    if (hangUp === 'at first bytes') hang()
  })
  await once(socket, 'connect')
  socket.write(bytes, () => {
    // The request is in the server's hands before the connection ends.
    if (hangUp === 'once sent') setTimeout(hang, 10)
  })
  if (hangUp === 'with the request') socket.end()
  await closed
  return received

  function hang(): void {
    if (reset) socket.resetAndDestroy()
    else socket.destroy()
  }
}

const json = { 'content-type': 'application/json' }

/** An exchange that the client sees to its end. */
function completes(endpoint: string, method: string, path: string, expected: number, body?: string): Exchange {
  return async (client, ledger) => {
    const status = await complete(client, method, path, body, body === undefined ? {} : json)
    if (status !== expected) throw new Error(`${method} ${path}: expected ${expected}, got ${status}`)
    ledger.request(endpoint, methodLabel(method), status)
  }
}

function methodLabel(method: string): string {
  return method === 'PURGE' || method === 'MKCOL' ? 'OTHER' : method
}

/** An exchange whose client leaves. */
function leaves(
  endpoint: string,
  head: string,
  hangUp: 'once sent' | 'at first bytes',
  status: number,
  phase: string,
  reset = false,
): Exchange {
  return async (client, ledger) => {
    await raw(client, head, hangUp, reset)
    ledger.request(endpoint, head.split(' ')[0] as string, status, phase)
  }
}

/** Bytes that the parser refuses. */
function malformed(bytes: string, code: string): Exchange {
  return async (client, ledger) => {
    await raw(client, bytes, 'never')
    ledger.parserError(code)
  }
}

const HOST = 'Host: localhost\r\n'
const ECHO = `POST /echo HTTP/1.1\r\n${HOST}Content-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\nab`
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: test\r\n'

/** Every kind of exchange over HTTP/1.1. */
export const exchanges: Record<string, Exchange> = {
  fast: completes('/fast/:id', 'GET', '/fast/1', 200),
  head: completes('/fast/:id', 'HEAD', '/fast/2', 200),
  options: completes('/fast/:id', 'OPTIONS', '/fast/2', 204),
  before: completes('/before/:id', 'GET', '/before/1', 200),
  earlyChild: completes('/early-child/items/:id', 'GET', '/early-child/items/7', 200),
  lateChild: completes('/late-child/items/:id', 'GET', '/late-child/items/7', 200),
  unmatched: completes('unmatched', 'GET', '/nowhere?x=1', 404),
  unmatchedHead: completes('unmatched', 'HEAD', '/nowhere', 404),
  unmatchedMethod: completes('unmatched', 'DELETE', '/fast/1', 404),
  methodNotAllowed: completes('/method-not-allowed', 'GET', '/method-not-allowed', 405),
  addedMethod: completes('/report', 'REPORT', '/report', 200),
  unknownMethod: completes('unmatched', 'PURGE', '/fast/1', 404),
  badUrl: completes('unmatched', 'GET', '/fast/%zz', 400),
  error: completes('/error', 'GET', '/error', 500),
  timeout: completes('/timeout', 'GET', '/timeout', 503),
  valid: completes('/validated', 'POST', '/validated', 200, '{"n":1}'),
  invalid: completes('/validated', 'POST', '/validated', 400, '{"n":"x"}'),
  malformedJson: completes('/validated', 'POST', '/validated', 400, '{"n":'),
  tooLarge: completes('/limited', 'POST', '/limited', 413, JSON.stringify({ text: 'x'.repeat(200) })),
  hijacked: completes('/hijacked', 'GET', '/hijacked', 203),
  events: completes('/events', 'GET', '/events', 200),
  large: completes('/large', 'GET', '/large', 200),
  forgottenReturn: completes('/forgotten-return', 'GET', '/forgotten-return', 404),
  piped: completes('/piped', 'GET', '/piped', 200),
  pipedHead: completes('/piped', 'HEAD', '/piped', 200),
  denied: completes('/denied/:id', 'GET', '/denied/1', 401),
  async broken(client, ledger) {
    const status = await complete(client, 'GET', '/broken').catch((error: Error) => error.message)
    if (status !== 'aborted') throw new Error(`expected a broken response, got ${status}`)
    ledger.request('/broken', 'GET', 200, 'truncated')
  },
  async brokenPipeline(client, ledger) {
    const answer = await raw(client, `GET /broken-pipeline HTTP/1.1\r\n${HOST}\r\n`, 'never')
    if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`expected a broken 200, got ${answer}`)
    ledger.request('/broken-pipeline', 'GET', 200, 'truncated')
  },
  async thrownLate(client, ledger) {
    const answer = await raw(client, `GET /thrown-late HTTP/1.1\r\n${HOST}\r\n`, 'never')
    if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`expected a broken 200, got ${answer}`)
    ledger.request('/thrown-late', 'GET', 200, 'truncated')
  },
  async shownOut(client, ledger) {
    const answer = await raw(client, `GET /shown-out HTTP/1.1\r\n${HOST}\r\n`, 'never')
    if (!answer.endsWith('enough')) throw new Error(`expected a whole answer, got ${answer}`)
    // Node.js 20 does not tell it from what is written after the end.
    ledger.request('/shown-out', 'GET', 429, process.version.startsWith('v20.') ? 'truncated' : undefined)
  },
  async dropped(client, ledger) {
    const answer = await raw(client, `GET /dropped HTTP/1.1\r\n${HOST}\r\n`, 'never')
    if (answer !== '') throw new Error(`expected nothing, got ${answer}`)
    ledger.request('/dropped', 'GET', 499, 'truncated')
  },
  async withoutHost(client, ledger) {
    const answer = await raw(client, 'GET /fast/1 HTTP/1.1\r\n\r\n', 'never')
    if (!answer.startsWith('HTTP/1.1 400')) throw new Error(`expected 400, got ${answer}`)
    ledger.request('unmatched', 'GET', 400)
  },
  async unknownExpectation(client, ledger) {
    const answer = await raw(client, `GET /fast/1 HTTP/1.1\r\n${HOST}Expect: x\r\nConnection: close\r\n\r\n`, 'never')
    if (!answer.startsWith('HTTP/1.1 417')) throw new Error(`expected 417, got ${answer}`)
    ledger.request('unmatched', 'GET', 417)
  },
  async upgraded(client, ledger) {
    const answer = await raw(client, `GET /socket HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`, 'at first bytes')
    if (!answer.startsWith('HTTP/1.1 101')) throw new Error(`expected 101, got ${answer}`)
    ledger.request('/socket', 'GET', 101)
  },
  async upgradeRefused(client, ledger) {
    const answer = await raw(client, `GET /refused HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`, 'never')
    if (!answer.startsWith('HTTP/1.1 403')) throw new Error(`expected 403, got ${answer}`)
    ledger.request('/refused', 'GET', 403)
  },
  leavesUpgrade: leaves('/slow', `GET /slow HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`, 'once sent', 499, 'before_headers'),
  async upgradeDenied(client, ledger) {
    const answer = await raw(client, `GET /denied/1 HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`, 'at first bytes')
    if (!answer.startsWith('HTTP/1.1 401')) throw new Error(`expected 401, got ${answer}`)
    ledger.request('/denied/:id', 'GET', 401)
  },
  async endsBeforeAnswer(client, ledger) {
    // Whether the answer or the client's FIN comes first is a matter of microseconds: the client knows.
    const answer = await raw(client, `GET /later HTTP/1.1\r\n${HOST}\r\n`, 'with the request')
    if (answer.endsWith('late')) ledger.request('/later', 'GET', 200)
    else ledger.request('/later', 'GET', 499, 'before_headers')
  },
  async pipelined(client, ledger) {
    const one = `GET /fast/1 HTTP/1.1\r\n${HOST}\r\n`
    const last = `GET /fast/1 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`
    const answer = await raw(client, one + one + last, 'never')
    if (answer.split('HTTP/1.1 200').length !== 4) throw new Error(`expected three answers, got ${answer}`)
    for (let count = 0; count < 3; count += 1) ledger.request('/fast/:id', 'GET', 200)
  },
  async leavesPipelined(client, ledger) {
    const request = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`
    await raw(client, request('/slow') + request('/fast/1') + request('/error'), 'once sent')
    ledger.request('/slow', 'GET', 499, 'before_headers')
    // Answered, but the answers were waiting behind the slow one.
    ledger.request('/fast/:id', 'GET', 499, 'before_headers')
    ledger.request('/error', 'GET', 499, 'before_headers')
  },
  async injected({ app }, ledger) {
    const { statusCode } = await app.inject('/fast/9')
    ledger.request('/fast/:id', 'GET', statusCode)
  },
  async injectedUnmatched({ app }, ledger) {
    const { statusCode } = await app.inject({ method: 'POST', url: '/nowhere' })
    ledger.request('unmatched', 'POST', statusCode)
  },
  leavesBeforeHeaders: leaves('/slow', `GET /slow HTTP/1.1\r\n${HOST}\r\n`, 'once sent', 499, 'before_headers'),
  leavesWithReset: leaves('/slow', `GET /slow HTTP/1.1\r\n${HOST}\r\n`, 'once sent', 499, 'before_headers', true),
  leavesPost: leaves(
    '/slow',
    `POST /slow HTTP/1.1\r\n${HOST}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nab`,
    'once sent',
    499,
    'before_headers',
  ),
  leavesUpload: leaves(
    '/upload',
    `POST /upload HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"a":"`,
    'once sent',
    499,
    'before_headers',
  ),
  leavesEcho: leaves('/echo', ECHO, 'at first bytes', 200, 'mid_response'),
  resetsEcho: leaves('/echo', ECHO, 'at first bytes', 200, 'mid_response', true),
  leavesMidResponse: leaves('/endless', `GET /endless HTTP/1.1\r\n${HOST}\r\n`, 'at first bytes', 200, 'mid_response'),
  resetsMidResponse: leaves(
    '/endless',
    `GET /endless HTTP/1.1\r\n${HOST}\r\n`,
    'at first bytes',
    200,
    'mid_response',
    true,
  ),
  async malformedBody(client, ledger) {
    const head = `POST /upload HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
    const answer = await raw(client, `${head}5\r\n{"a":\r\nnonsense\r\n`, 'never')
    if (!answer.startsWith('HTTP/1.1 400')) throw new Error(`expected 400, got ${answer}`)
    ledger.request('/upload', 'POST', 400)
  },
  async malformedBehindRequest(client, ledger) {
    const answer = await raw(client, `GET /fast/1 HTTP/1.1\r\n${HOST}\r\nNONSENSE\r\n\r\n`, 'never')
    // The parser is faster than the handler: its answer is the only one that the client gets.
    if (!/^HTTP\/1.1 400/.test(answer) || answer.includes('200')) throw new Error(`expected 400 alone, got ${answer}`)
    ledger.request('/fast/:id', 'GET', 400)
    ledger.parserError('HPE_INVALID_METHOD')
  },
  async malformedBehindPipelined(client, ledger) {
    const request = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`
    const answer = await raw(client, `${request('/slow')}${request('/fast/1')}NONSENSE\r\n\r\n`, 'never')
    if (!/^HTTP\/1.1 400/.test(answer) || answer.includes('200')) throw new Error(`expected 400 alone, got ${answer}`)
    // The client takes it for the answer to its first request.
    ledger.request('/slow', 'GET', 400)
    ledger.request('/fast/:id', 'GET', 499, 'before_headers')
    ledger.parserError('HPE_INVALID_METHOD')
  },
  malformedMethod: malformed('FOO / HTTP/1.1\r\n\r\n', 'HPE_INVALID_METHOD'),
  malformedBytes: malformed('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'HPE_INVALID_METHOD'),
  malformedVersion: malformed(`GET / HTTP/9.9\r\n${HOST}\r\n`, 'HPE_INVALID_VERSION'),
  malformedHeader: malformed('GET / HTTP/1.1\r\nHo st: x\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN'),
  malformedLength: malformed(`POST /upload HTTP/1.1\r\n${HOST}Content-Length: x\r\n\r\n`, 'HPE_INVALID_CONTENT_LENGTH'),
  headerOverflow: malformed(`GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(70_000)}\r\n\r\n`, 'HPE_HEADER_OVERFLOW'),
}

/** Every kind of exchange over HTTP/2, each on the session given. */
export const http2Exchanges: Record<string, (session: http2.ClientHttp2Session, ledger: Ledger) => Promise<void>> = {
  fast: completesHttp2('/fast/:id', { ':path': '/fast/1' }, 200),
  head: completesHttp2('/fast/:id', { ':path': '/fast/1', ':method': 'HEAD' }, 200),
  forgottenReturn: completesHttp2('/forgotten-return', { ':path': '/forgotten-return' }, 404),
  piped: completesHttp2('/piped', { ':path': '/piped' }, 200),
  pipedHead: completesHttp2('/piped', { ':path': '/piped', ':method': 'HEAD' }, 200),
  unmatched: completesHttp2('unmatched', { ':path': '/nowhere' }, 404),
  error: completesHttp2('/error', { ':path': '/error' }, 500),
  large: completesHttp2('/large', { ':path': '/large' }, 200),
  valid: completesHttp2('/validated', { ':path': '/validated', ':method': 'POST', ...json }, 200, '{"n":1}'),
  invalid: completesHttp2('/validated', { ':path': '/validated', ':method': 'POST', ...json }, 400, '{}'),
  denied: completesHttp2('/denied/:id', { ':path': '/denied/1' }, 401),
  broken: breaksHttp2('/broken'),
  brokenPipeline: breaksHttp2('/broken-pipeline'),
  thrownLate: breaksHttp2('/thrown-late'),
  native: completesHttp2('/native', { ':path': '/native' }, 404),
  async cancelsGet(session, ledger) {
    await cancel(session, { ':path': '/slow' })
    ledger.request('/slow', 'GET', 499, 'before_headers')
  },
  async cancelsPost(session, ledger) {
    await cancel(session, { ':path': '/slow', ':method': 'POST', 'content-type': 'text/plain' }, 'ab')
    ledger.request('/slow', 'POST', 499, 'before_headers')
  },
  async cancelsHead(session, ledger) {
    await cancel(session, { ':path': '/slow', ':method': 'HEAD' })
    ledger.request('/slow', 'HEAD', 499, 'before_headers')
  },
  async closesGet(session, ledger) {
    await cancel(session, { ':path': '/slow' }, undefined, http2.constants.NGHTTP2_NO_ERROR)
    ledger.request('/slow', 'GET', 499, 'before_headers')
  },
  cancelsMidResponse: cancelsMidResponse(http2.constants.NGHTTP2_CANCEL),
  failsMidResponse: cancelsMidResponse(http2.constants.NGHTTP2_INTERNAL_ERROR),
}

function completesHttp2(endpoint: string, headers: http2.OutgoingHttpHeaders, expected: number, body?: string) {
  return async (session: http2.ClientHttp2Session, ledger: Ledger): Promise<void> => {
    const stream = session.request(headers)
    stream.end(body)
    const [response] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    stream.resume()
    await once(stream, 'close')
    const status = Number(response[':status'])
    if (status !== expected) throw new Error(`${headers[':path']}: expected ${expected}, got ${status}`)
    ledger.request(endpoint, String(headers[':method'] ?? 'GET'), status)
  }
}

function breaksHttp2(path: string) {
  return async (session: http2.ClientHttp2Session, ledger: Ledger): Promise<void> => {
    const stream = session.request({ ':path': path })
    stream.on('error', () => {})
    await new Promise((resolve) => stream.resume().on('close', resolve))
    ledger.request(path, 'GET', 200, 'truncated')
  }
}

function cancelsMidResponse(code: number) {
  return async (session: http2.ClientHttp2Session, ledger: Ledger): Promise<void> => {
    const stream = session.request({ ':path': '/endless' })
    stream.on('error', () => {})
    await once(stream, 'data')
    const closed = new Promise((resolve) => stream.on('close', resolve))
    stream.close(code)
    await closed
    ledger.request('/endless', 'GET', 200, 'mid_response')
  }
}

async function cancel(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
  code: number = http2.constants.NGHTTP2_CANCEL,
): Promise<void> {
  const stream = session.request(headers)
  stream.on('error', () => {})
  stream.end(body)
  await new Promise((resolve) => setTimeout(resolve, 20))
  stream.close(code)
  await once(stream, 'close')
}

/** What `/metrics` says, by metric and labels. */
export class Exposition {
  readonly samples: ExpositionSample[]

  constructor(text: string) {
    this.samples = readSamples(text)
  }

  /** The values other than 0 of a metric, under keys made of some of its labels. */
  counts(name: string, labels: string[]): Map<string, number> {
    const counts = new Map<string, number>()
    for (const sample of this.samples) {
      if (sample.name !== name || sample.value === 0) continue
      const key = labels.map((label) => sample.labels[label]).join(' ')
      counts.set(key, (counts.get(key) ?? 0) + sample.value)
    }
    return counts
  }

  /** The number of series of a metric. */
  series(name: string): number {
    return this.samples.filter((sample) => sample.name === name).length
  }
}

/** Reads the application's metrics once nothing is in flight, which has to happen soon. */
export async function settledExposition(app: FastifyInstance): Promise<Exposition> {
  for (let attempt = 0; ; attempt += 1) {
    const { body } = await app.metrics.expose()
    const exposition = new Exposition(body.toString())
    if (exposition.counts('http_requests_in_flight', ['endpoint']).size === 0) return exposition
    if (attempt === 100) {
      const inFlight = [...exposition.counts('http_requests_in_flight', ['endpoint', 'method'])]
      throw new Error(`requests are still in flight: ${inFlight.join('; ')}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
