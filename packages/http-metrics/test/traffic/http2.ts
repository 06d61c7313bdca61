/** Every kind of exchange over HTTP/2. */
import { once } from 'node:events'
import http2 from 'node:http2'
import { arrived } from './app.ts'
import type { Ledger } from './ledger.ts'

/** One kind of exchange: performs it and enters it in the ledger. */
export type Http2Exchange = (session: http2.ClientHttp2Session, ledger: Ledger) => Promise<void>

const json = { 'content-type': 'application/json' }

/** All of them, by name. Each uses the session given. */
export const http2Exchanges: Record<string, Http2Exchange> = {
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
  cancelsEventStream: cancelsMidResponse(http2.constants.NGHTTP2_CANCEL, '/event-stream'),
  cancelsMidResponse: cancelsMidResponse(http2.constants.NGHTTP2_CANCEL),
  failsMidResponse: cancelsMidResponse(http2.constants.NGHTTP2_INTERNAL_ERROR),
}

function completesHttp2(
  endpoint: string,
  headers: http2.OutgoingHttpHeaders,
  expected: number,
  body?: string,
): Http2Exchange {
  return async (session, ledger) => {
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

function breaksHttp2(path: string): Http2Exchange {
  return async (session, ledger) => {
    const stream = session.request({ ':path': path })
    stream.on('error', () => {})
    await new Promise((resolve) => stream.resume().on('close', resolve))
    ledger.request(path, 'GET', 200, 'truncated')
  }
}

function cancelsMidResponse(code: number, path = '/endless'): Http2Exchange {
  return async (session, ledger) => {
    const stream = session.request({ ':path': path })
    stream.on('error', () => {})
    await once(stream, 'data')
    const closed = new Promise((resolve) => stream.on('close', resolve))
    stream.close(code)
    await closed
    // A client that leaves an event stream is how that ends.
    ledger.request(path, 'GET', 200, path === '/endless' ? 'mid_response' : undefined)
  }
}

let nextSender = 1

/** Sends a request and closes its stream once the server has it. */
async function cancel(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
  code: number = http2.constants.NGHTTP2_CANCEL,
): Promise<void> {
  const sender = `cancelled stream ${nextSender++}`
  const hasArrived = arrived(sender)
  const stream = session.request({ ...headers, 'x-arrival': sender })
  stream.on('error', () => {})
  stream.end(body)
  await hasArrived
  const closed = once(stream, 'close')
  stream.close(code)
  await closed
}
