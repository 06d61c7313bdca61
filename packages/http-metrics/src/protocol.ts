/**
 * Describes how a protocol tells the end of a response. `http1.ts`, `http2.ts`, `upgrade.ts` and `inject.ts` implement
 * it.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Phase } from './metrics.ts'

/** A response of HTTP/1.1, HTTP/2 or `inject()`. */
export type RawResponse = ServerResponse | Http2ServerResponse

/** How a response ended. */
export interface Ending {
  /** The status that the client was sent; 499 where it was sent none. */
  status: number
  /** `undefined` where the client has a whole answer. */
  phase: Phase | undefined
}

/** What is known of a response beside the response itself. */
export interface Notes {
  /**
   * Status of an answer that bypassed the response: Fastify's to bytes that the parser refused, or one written to the
   * socket of an upgrade.
   */
  answered: number | undefined
  /** The client's end of the connection came before any header, so nothing written since reaches the client. */
  isUnsent: boolean
}

/** Ends measurements that the `close` event of their response does not end. */
export interface Ender {
  /** Ends the measurement of a response that ended some milliseconds ago. Further calls have no effect. */
  end(response: RawResponse, millisecondsAgo: number): void
  /** Ends the measurement of a response when its socket closes. */
  endWithSocket(response: RawResponse, socket: Duplex): void
  /** Follows a connection that no server announced. */
  follow(socket: Duplex): void
}

export interface Protocol<Response extends RawResponse = RawResponse> {
  /** Returns whether a response has been closed, so that its `close` event will not come. */
  isClosed(response: Response): boolean
  /** Watches a response that no server announced for ends and answers that its `close` event does not tell. */
  watch(response: Response, notes: Notes, ender: Ender): void
  /** Returns how a response ended. Called once, when it is closed. */
  endingOf(response: Response, notes: Notes): Ending
  /** Returns whether a response whose headers were sent stays open for long: an event stream, or another protocol. */
  isStream(response: Response, notes: Notes): boolean
}

/** The status that nginx introduced for "client closed request". */
const CLIENT_CLOSED_REQUEST = 499

/** What a protocol knows of an incomplete response. */
interface IncompleteResponse {
  sentStatus: number
  areHeadersSent: boolean
  /** The server destroyed it, as a stream that throws half-way does. */
  isBrokenByServer: boolean
}

/** Returns how an incomplete response ended. It has no phase if an answer that bypassed it reached the client. */
export function endingOfIncomplete(
  { answered, isUnsent }: Notes,
  { sentStatus, areHeadersSent, isBrokenByServer }: IncompleteResponse,
): Ending {
  if (answered !== undefined) return { status: answered, phase: undefined }
  const isSent = !isUnsent && areHeadersSent
  return {
    status: isSent ? sentStatus : CLIENT_CLOSED_REQUEST,
    // Unless the server broke the response, the client's end of the connection came first.
    phase: isBrokenByServer ? 'truncated' : isSent ? 'mid_response' : 'before_headers',
  }
}

/** Returns whether a Content-Type is that of an event stream. */
export function isEventStream(contentType: unknown): boolean {
  return typeof contentType === 'string' && /^\s*text\/event-stream\b/i.test(contentType)
}

/** Returns whether an error came from the connection, rather than from a call of `destroy(error)`. */
export function isConnectionError(error: Error | null): boolean {
  if (error === null || isCancelledWrite(error)) return false
  const { code } = error as NodeJS.ErrnoException
  return 'syscall' in error || /^(HPE|ERR_SSL|ERR_HTTP2)_/.test(`${code}`)
}

/** Returns whether an error is that of a write which `destroy()` cancelled. */
export function isCancelledWrite(error: Error | null): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ECANCELED'
}
