/** Every kind of exchange over HTTP/1.1, without upgrades. */
import { complete, type Exchange, get, HOST, leaves, raw } from './client.ts'

const json = { 'content-type': 'application/json' }
const ECHO = `POST /echo HTTP/1.1\r\n${HOST}Content-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\nab`

/** Exchanges that the client sees to their end. */
const completed: Record<string, Exchange> = {
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
  async injected({ app }, ledger) {
    const { statusCode } = await app.inject('/fast/9')
    ledger.request('/fast/:id', 'GET', statusCode)
  },
  async injectedUnmatched({ app }, ledger) {
    const { statusCode } = await app.inject({ method: 'POST', url: '/nowhere' })
    ledger.request('unmatched', 'POST', statusCode)
  },
}

/** Exchanges whose response the server does not complete, or whose connection it destroys. */
const broken: Record<string, Exchange> = {
  async broken(client, ledger) {
    const status = await complete(client, 'GET', '/broken').catch((error: Error) => error.message)
    if (status !== 'aborted') throw new Error(`expected a broken response, got ${status}`)
    ledger.request('/broken', 'GET', 200, 'truncated')
  },
  async brokenPipeline(client, ledger) {
    await get(client, '/broken-pipeline', HOST, 200)
    ledger.request('/broken-pipeline', 'GET', 200, 'truncated')
  },
  async thrownLate(client, ledger) {
    await get(client, '/thrown-late', HOST, 200)
    ledger.request('/thrown-late', 'GET', 200, 'truncated')
  },
  async shownOut(client, ledger) {
    const answer = await raw(client, `GET /shown-out HTTP/1.1\r\n${HOST}\r\n`, 'never')
    if (!answer.endsWith('enough')) throw new Error(`expected a whole answer, got ${answer}`)
    // Node.js 20 does not tell it from a response that was cut off.
    ledger.request('/shown-out', 'GET', 429, process.version.startsWith('v20.') ? 'truncated' : undefined)
  },
  async dropped(client, ledger) {
    const answer = await raw(client, `GET /dropped HTTP/1.1\r\n${HOST}\r\n`, 'never')
    if (answer !== '') throw new Error(`expected nothing, got ${answer}`)
    ledger.request('/dropped', 'GET', 499, 'truncated')
  },
}

/** Exchanges that Node.js answers itself. */
const answeredByNode: Record<string, Exchange> = {
  async withoutHost(client, ledger) {
    await get(client, '/fast/1', '', 400)
    ledger.request('unmatched', 'GET', 400)
  },
  async unknownExpectation(client, ledger) {
    await get(client, '/fast/1', `${HOST}Expect: x\r\nConnection: close\r\n`, 417)
    ledger.request('unmatched', 'GET', 417)
  },
}

/** Exchanges whose client leaves. */
const leaving: Record<string, Exchange> = {
  async endsBeforeAnswer(client, ledger) {
    // Either the answer or the client's FIN comes first, by microseconds: the client knows.
    const answer = await raw(client, `GET /later HTTP/1.1\r\n${HOST}\r\n`, 'with the request')
    if (answer.endsWith('late')) ledger.request('/later', 'GET', 200)
    else ledger.request('/later', 'GET', 499, 'before_headers')
  },
  leavesBeforeHeaders: leaves('/slow', `GET /slow HTTP/1.1\r\n${HOST}\r\n`, 'once arrived', 499, 'before_headers'),
  leavesWithReset: leaves('/slow', `GET /slow HTTP/1.1\r\n${HOST}\r\n`, 'once arrived', 499, 'before_headers', {
    reset: true,
  }),
  leavesPost: leaves(
    '/slow',
    `POST /slow HTTP/1.1\r\n${HOST}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nab`,
    'once arrived',
    499,
    'before_headers',
  ),
  leavesUpload: leaves(
    '/upload',
    `POST /upload HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"a":"`,
    'once arrived',
    499,
    'before_headers',
  ),
  leavesEcho: leaves('/echo', ECHO, 'at first bytes', 200, 'mid_response'),
  resetsEcho: leaves('/echo', ECHO, 'at first bytes', 200, 'mid_response', { reset: true }),
  leavesEventStream: leaves(
    '/event-stream',
    `GET /event-stream HTTP/1.1\r\n${HOST}\r\n`,
    'at first bytes',
    200,
    undefined,
  ),
  leavesMidResponse: leaves('/endless', `GET /endless HTTP/1.1\r\n${HOST}\r\n`, 'at first bytes', 200, 'mid_response'),
  resetsMidResponse: leaves('/endless', `GET /endless HTTP/1.1\r\n${HOST}\r\n`, 'at first bytes', 200, 'mid_response', {
    reset: true,
  }),
}

/** Several requests on one connection, in one piece. */
const pipelined: Record<string, Exchange> = {
  async pipelined(client, ledger) {
    const one = `GET /fast/1 HTTP/1.1\r\n${HOST}\r\n`
    const last = `GET /fast/1 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`
    const answer = await raw(client, one + one + last, 'never')
    if (answer.split('HTTP/1.1 200').length !== 4) throw new Error(`expected three answers, got ${answer}`)
    for (let count = 0; count < 3; count += 1) ledger.request('/fast/:id', 'GET', 200)
  },
  async leavesPipelined(client, ledger) {
    const request = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`
    await raw(client, request('/slow') + request('/fast/1') + request('/error'), 'once arrived', { requests: 3 })
    ledger.request('/slow', 'GET', 499, 'before_headers')
    // These were answered, but their answers waited behind the slow one.
    ledger.request('/fast/:id', 'GET', 499, 'before_headers')
    ledger.request('/error', 'GET', 499, 'before_headers')
  },
  async malformedBehindRequest(client, ledger) {
    const answer = await raw(client, `GET /fast/1 HTTP/1.1\r\n${HOST}\r\nNONSENSE\r\n\r\n`, 'never')
    // The parser is faster than the handler, so its answer is the only one that the client gets.
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
}

/** Bytes that the parser refuses. */
const malformed: Record<string, Exchange> = {
  async malformedBody(client, ledger) {
    const head = `POST /upload HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
    const answer = await raw(client, `${head}5\r\n{"a":\r\nnonsense\r\n`, 'never')
    if (!answer.startsWith('HTTP/1.1 400')) throw new Error(`expected 400, got ${answer}`)
    ledger.request('/upload', 'POST', 400)
  },
  malformedMethod: refuses('FOO / HTTP/1.1\r\n\r\n', 'HPE_INVALID_METHOD'),
  malformedBytes: refuses('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'HPE_INVALID_METHOD'),
  malformedVersion: refuses(`GET / HTTP/9.9\r\n${HOST}\r\n`, 'HPE_INVALID_VERSION'),
  malformedHeader: refuses('GET / HTTP/1.1\r\nHo st: x\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN'),
  malformedLength: refuses(`POST /upload HTTP/1.1\r\n${HOST}Content-Length: x\r\n\r\n`, 'HPE_INVALID_CONTENT_LENGTH'),
  headerOverflow: refuses(`GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(70_000)}\r\n\r\n`, 'HPE_HEADER_OVERFLOW'),
}

/** All of them, by name. */
export const http1Exchanges: Record<string, Exchange> = {
  ...completed,
  ...broken,
  ...answeredByNode,
  ...leaving,
  ...pipelined,
  ...malformed,
}

/** Makes an exchange that the client sees to its end. */
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

/** Makes an exchange of bytes that the parser refuses. */
function refuses(bytes: string, code: string): Exchange {
  return async (client, ledger) => {
    await raw(client, bytes, 'never')
    ledger.parserError(code)
  }
}
