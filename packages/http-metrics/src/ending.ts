/**
 * How a response ended, read from it when it is closed: the one event that every response has.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import type { PHASES } from './metrics.ts'

const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR } = constants

/** A response of HTTP/1.1, HTTP/2 or `inject()`. */
export type RawResponse = (ServerResponse | Http2ServerResponse) & { isLightMyRequest?: true }

/** The status that nginx made customary for "client closed request". */
export const CLIENT_CLOSED_REQUEST = 499

/**
 * What Fastify answers, past the response, when the parser refuses what a connection brings; `undefined` when the client
 * said FIN, so that nobody reads an answer.
 */
export function statusOfParserError(code: string | undefined): number | undefined {
  if (code === 'HPE_INVALID_EOF_STATE') return undefined
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408
  return code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
}

/** Whether the whole response was handed to the system. */
export function isComplete(response: RawResponse): boolean {
  // inject() destroys its response once it is ended, before the stream has counted it as finished.
  if (response.isLightMyRequest === true) return response.writableEnded
  if ('stream' in response) {
    // HTTP/2's compatibility layer emits `finish` for a cancelled stream too. NO_ERROR and nothing left to write is an end.
    const { stream } = response
    return stream === undefined
      ? response.writableEnded
      : stream.writableFinished && stream.rstCode === NGHTTP2_NO_ERROR
  }
  return response.writableFinished
}

/** Whether the client can have seen the status: not while the response waits, pipelined, for an earlier one to end. */
export function hasSentHeaders(response: RawResponse): boolean {
  return response.headersSent && ('stream' in response || response.socket !== null)
}

/**
 * Who broke it off, and when. The client left when its end of the socket came first: it said FIN or RST, or it reset the
 * HTTP/2 stream; a response that the server destroyed by itself, as a stream that throws half-way does, is truncated.
 */
export function phaseOf(response: RawResponse): (typeof PHASES)[number] {
  if (isBrokenByServer(response)) return 'truncated'
  return hasSentHeaders(response) ? 'mid_response' : 'before_headers'
}

function isBrokenByServer(response: RawResponse): boolean {
  if ('stream' in response) {
    const { stream } = response
    // `aborted` is true for both sides; a client that leaves resets the stream, or Node.js does so in its name.
    return stream !== undefined && (stream.rstCode === NGHTTP2_NO_ERROR || stream.rstCode === NGHTTP2_INTERNAL_ERROR)
  }
  const { socket } = response.req
  return socket.destroyed && !socket.readableEnded && socket.errored === null
}
