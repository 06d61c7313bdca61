/**
 * How a response ended, read from it when it is closed: the one event that every response has.
 *
 * @module
 */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import { areHeadersSent, headerStatus } from './internals.ts'
import type { PHASES } from './metrics.ts'
import { sessionOf } from './streams.ts'
import { isUpgrade } from './upgrade.ts'

const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR } = constants

/** A response of HTTP/1.1, HTTP/2 or `inject()`. */
export type RawResponse = (ServerResponse | Http2ServerResponse) & { isLightMyRequest?: true }

/** Node.js 20 calls a write that `destroy()` has cancelled finished, without an error. */
const TELLS_CANCELLED_WRITES = Number.parseInt(process.versions.node, 10) >= 22

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
    // HTTP/2's compatibility layer emits `finish` for a cancelled stream too, and Node.js ends it in the handler's place; that
    // of a HEAD it ends at once.
    const { stream } = response
    return stream === undefined
      ? response.writableEnded
      : stream.writableFinished && !stream.aborted && stream.headersSent
  }
  if (!response.writableFinished) return false
  const socket = response.req?.socket
  // The response of an upgrade is closed by nothing but its socket.
  if (!socket?.destroyed || isUpgrade(response.req)) return true
  // What a destroyed socket drops, or has not sent, counts as finished. One that the application destroyed afterwards was let
  // go before, and has no error of its own.
  if (!TELLS_CANCELLED_WRITES || response.socket !== null) return false
  return !isCancelled(socket.errored) && !isOfConnection(socket.errored)
}

/** The status that the client was sent: `statusCode` can be changed after it, as Fastify does when a handler throws in mid-stream. */
export function sentStatus(response: RawResponse): number {
  if ('stream' in response) return Number(response.stream?.sentHeaders?.[':status'] ?? response.statusCode)
  const { statusCode, statusMessage } = response
  // writeHead() sets the message that belongs to the status; what is changed later does not go with it.
  return statusMessage === STATUS_CODES[statusCode] ? statusCode : headerStatus(response)
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
    status: isSent ? sentStatus(response) : CLIENT_CLOSED_REQUEST,
    // The client left when its end of the connection came first.
    phase: isBrokenByServer(response) ? 'truncated' : isSent ? 'mid_response' : 'before_headers',
  }
}

/** A response that the server destroyed by itself, as a stream that throws half-way does. */
function isBrokenByServer(response: RawResponse): boolean {
  if ('stream' in response) {
    const { stream } = response
    // A client that leaves resets the stream, or Node.js destroys it in the client's name, with another code than these, or
    // with the connection's error, of which the session dies too.
    if (!stream?.destroyed || (stream.writableEnded && response.req?.method !== 'HEAD')) return false
    if (isOfConnection(stream.errored) && sessionOf(stream)?.destroyed !== false) return false
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
  if (error === null || isCancelled(error)) return false
  const { code } = error as NodeJS.ErrnoException
  return 'syscall' in error || /^(HPE|ERR_SSL|ERR_HTTP2)_/.test(`${code}`)
}

/** Whether an error is that of a write which `destroy()` has cancelled. */
function isCancelled(error: Error | null): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ECANCELED'
}
