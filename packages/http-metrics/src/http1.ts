/**
 * Tells how a response of HTTP/1.1 ended, by the response and its socket.
 *
 * @module
 */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import {
  areHeadersSent,
  contentTypeOf,
  hasUnknownLength,
  headerStatus,
  isResponseClosed,
  responseError,
} from './internals.ts'
import {
  type Ender,
  type Ending,
  endingOfIncomplete,
  isCancelledWrite,
  isConnectionError,
  isEventStream,
  type Notes,
  type Protocol,
} from './protocol.ts'

/** Node.js 20 reports a write that `destroy()` cancelled as finished, without an error. */
const REPORTS_CANCELLED_WRITES = Number.parseInt(process.versions.node, 10) >= 22

export const http1: Protocol<ServerResponse> = {
  isClosed: isResponseClosed,
  watch: watchSocket,
  endingOf(response, notes) {
    return isComplete(response) ? completeEnding(response) : incompleteEnding(response, notes)
  },
  // A response of known length is no event stream, and the text of its headers is not searched.
  isStream: (response) => hasUnknownLength(response) && isEventStream(contentTypeOf(response)),
}

/** Node.js forgets responses pipelined behind another: their socket ends them. */
function watchSocket(response: ServerResponse, _notes: Notes, { endWithSocket, follow }: Ender): void {
  follow(response.req.socket)
  if (response.socket === null) endWithSocket(response, response.req.socket)
}

/** Returns whether the whole response was handed to the system. */
function isComplete(response: ServerResponse): boolean {
  if (!response.writableFinished) return false
  const socket = response.req?.socket
  if (!socket?.destroyed) return true
  // Data that a destroyed socket drops, or has not sent, counts as finished. A response that was finished before the
  // application destroyed its socket has been detached from it, and the socket has no error of its own.
  if (!REPORTS_CANCELLED_WRITES || response.socket !== null) return false
  return !isCancelledWrite(socket.errored) && !isConnectionError(socket.errored)
}

/** Returns the ending of a response that was sent whole. */
export function completeEnding(response: ServerResponse): Ending {
  return { status: sentStatus(response), phase: undefined }
}

/** Returns the ending of a response that was not. */
export function incompleteEnding(response: ServerResponse, notes: Notes): Ending {
  return endingOfIncomplete(notes, {
    sentStatus: sentStatus(response),
    areHeadersSent: areHeadersSent(response),
    isBrokenByServer: isBrokenByServer(response),
  })
}

/**
 * Returns the status that the client was sent. `statusCode` may have changed since: Fastify sets it to 500 when a
 * handler throws in mid-stream.
 */
function sentStatus(response: ServerResponse): number {
  const { statusCode, statusMessage } = response
  // writeHead() sets the message that belongs to the status; a later change of the status does not change the message.
  return statusMessage === STATUS_CODES[statusCode] ? statusCode : headerStatus(response)
}

/** Returns whether the server destroyed a response by itself. */
function isBrokenByServer(response: ServerResponse): boolean {
  const socket = response.req?.socket
  if (!socket?.destroyed || socket.readableEnded) return false
  // The error of the response may be that of another connection, or of a system call. From Node.js 24 on it is
  // `aborted` for responses that waited, whoever broke the connection.
  const error = responseError(response)
  if (error !== undefined && error.message !== 'aborted') return true
  return !isConnectionError(socket.errored)
}
