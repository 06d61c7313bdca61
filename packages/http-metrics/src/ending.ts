/**
 * How a response ended, read from it when it is closed: the one event that every response has.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import { areHeadersSent } from './internals.ts'
import type { PHASES } from './metrics.ts'
import { isUpgrade } from './upgrade.ts'

const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR } = constants

/** A response of HTTP/1.1, HTTP/2 or `inject()`. */
export type RawResponse = (ServerResponse | Http2ServerResponse) & { isLightMyRequest?: true }

/** The status that nginx made customary for "client closed request". */
const CLIENT_CLOSED_REQUEST = 499

/**
 * What Fastify answers, past the response, when the parser refuses what a connection brings; `undefined` when the client
 * said FIN, so that nobody reads an answer.
 */
export function statusOfParserError(code: string | undefined): number | undefined {
  if (code === 'HPE_INVALID_EOF_STATE') return undefined
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408
  return code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
}

/** Whether bytes are what broke a connection: the parser refused them, or they did not come in time. */
export function isParserError(code: unknown): code is string {
  return typeof code === 'string' && (code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT')
}

/** Whether a response has been closed, so that its `close` will not come. */
export function isClosed(response: RawResponse): boolean {
  if (!('stream' in response)) return response.closed
  return response.stream === undefined || response.stream.destroyed || response.stream.aborted
}

/** Whether the whole response was handed to the system. */
export function isComplete(response: RawResponse): boolean {
  // inject() destroys its response once it is ended, before the stream has counted it as finished.
  if (response.isLightMyRequest === true) return response.writableEnded
  if ('stream' in response) {
    // HTTP/2's compatibility layer emits `finish` for a cancelled stream too, and Node.js ends it in the handler's place.
    const { stream } = response
    return stream === undefined ? response.writableEnded : stream.writableFinished && !stream.aborted
  }
  if (!response.writableFinished) return false
  // What a destroyed socket drops counts as finished. A socket that ends with its response is not yet destroyed here, but
  // that of an upgrade is: nothing else closes its response.
  return !response.req?.socket?.destroyed || isUpgrade(response.req)
}

type Phase = (typeof PHASES)[number]

/** The status and the phase of a response that is not complete; without a phase when the client had an answer nevertheless. */
export function brokenEnding(
  response: RawResponse,
  { answered, isUnsent }: { answered: number | undefined; isUnsent: boolean },
): { status: number; phase: Phase | undefined } {
  if (answered !== undefined) return { status: answered, phase: undefined }
  const isSent = !isUnsent && areHeadersSent(response)
  return {
    status: isSent ? response.statusCode : CLIENT_CLOSED_REQUEST,
    // The client left when its end of the connection came first.
    phase: isBrokenByServer(response) ? 'truncated' : isSent ? 'mid_response' : 'before_headers',
  }
}

/** A response that the server destroyed by itself, as a stream that throws half-way does. */
function isBrokenByServer(response: RawResponse): boolean {
  if ('stream' in response) {
    const { stream } = response
    // A client that leaves resets the stream, or Node.js destroys it in the client's name, with the connection's error or
    // another code than these.
    if (!stream?.destroyed || stream.writableEnded || isOfConnection(stream.errored)) return false
    return stream.rstCode === NGHTTP2_NO_ERROR || stream.rstCode === NGHTTP2_INTERNAL_ERROR
  }
  const socket = response.req?.socket
  if (!socket?.destroyed || socket.readableEnded) return false
  // What the response was destroyed with may be the error of another connection, a system call's too. From Node.js 24 on
  // it is `aborted` for responses that waited, whoever broke the connection.
  if (response.errored && response.errored.message !== 'aborted') return true
  return !isOfConnection(socket.errored)
}

/** Whether an error came from the connection, and not from `destroy(error)`. */
function isOfConnection(error: Error | null): boolean {
  if (error === null) return false
  const { code } = error as NodeJS.ErrnoException
  // Of writes that destroy() cancels.
  if (code === 'ECANCELED') return false
  return 'syscall' in error || /^(HPE|ERR_SSL|ERR_HTTP2)_/.test(`${code}`)
}
