/**
 * How a response ended, read from it when it is closed: the one event that every response has.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { PHASES } from './metrics.ts'

/** A response of HTTP/1.1, HTTP/2 or `inject()`. */
export type RawResponse = (ServerResponse | Http2ServerResponse) & { isLightMyRequest?: true }

/** The status that nginx made customary for "client closed request". */
export const CLIENT_CLOSED_REQUEST = 499

/** Whether the whole response was handed to the system. */
export function isComplete(response: RawResponse): boolean {
  // inject() destroys its response once it is ended, before the stream has counted it as finished.
  if (response.isLightMyRequest === true) return response.writableEnded
  if ('stream' in response) {
    // HTTP/2's compatibility layer emits `finish` for a cancelled stream too. NO_ERROR and nothing left to write is an end.
    const { stream } = response
    return stream === undefined ? response.writableEnded : stream.writableFinished && stream.rstCode === 0
  }
  return response.writableFinished
}

/**
 * Who broke it off, and when. The client left when its end of the socket came first: it said FIN or RST, or it reset the
 * HTTP/2 stream; a response that the server destroyed by itself, as a stream that throws half-way does, is truncated.
 */
export function phaseOf(response: RawResponse): (typeof PHASES)[number] {
  if (isBrokenByServer(response)) return 'truncated'
  return response.headersSent ? 'mid_response' : 'before_headers'
}

function isBrokenByServer(response: RawResponse): boolean {
  if ('stream' in response) {
    const { stream } = response
    // Node.js marks a stream aborted when the peer ended it first.
    return stream !== undefined && !stream.aborted
  }
  const { socket } = response.req
  return socket.destroyed && !socket.readableEnded && socket.errored === null
}
