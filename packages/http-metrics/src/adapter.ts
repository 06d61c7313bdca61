/**
 * Tells how a response ended that has no connection of Node.js: those of serverless adapters, of bridges from `fetch`,
 * and mocks. They emit `finish`, and many of them never `close`.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { completeEnding } from './http1.ts'
import { areHeadersSent, contentTypeOf, headerStatus, isResponseClosed } from './internals.ts'
import { type Ending, endingOfIncomplete, isEventStream, type Notes, type Protocol } from './protocol.ts'

export const adapter: Protocol<ServerResponse> = {
  isClosed: (response) => response.writableFinished || isResponseClosed(response),
  watch(response, notes, { end }) {
    response.on('finish', () => {
      // Some of them emit it without being a stream that knows it.
      notes.answered ??= completeEnding(response).status
      end(response, 0)
    })
  },
  endingOf(response, notes) {
    return response.writableFinished ? completeEnding(response) : endingWithoutConnection(response, notes)
  },
  isStream: (response) => isEventStream(contentTypeOf(response)),
}

/** Returns the ending of an incomplete response whose client leaves by destroying the request. */
export function endingWithoutConnection(response: ServerResponse, notes: Notes): Ending {
  return endingOfIncomplete(notes, {
    sentStatus: headerStatus(response),
    areHeadersSent: areHeadersSent(response),
    isBrokenByServer: response.req?.destroyed !== true,
  })
}
