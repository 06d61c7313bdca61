/**
 * Tells how a response ended that has no connection of Node.js: those of serverless adapters, of bridges from `fetch`,
 * and mocks. They emit `finish`, and many of them never `close`.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { completeEnding } from './http1.ts'
import { areHeadersSent, headerStatus, isResponseClosed } from './internals.ts'
import { endingOfIncomplete, type Protocol } from './protocol.ts'

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
    if (response.writableFinished) return completeEnding(response)
    return endingOfIncomplete(notes, {
      sentStatus: headerStatus(response),
      areHeadersSent: areHeadersSent(response),
      // There is no client that could leave but the request itself, which an adapter destroys on a timeout or an abort.
      isBrokenByServer: response.req?.destroyed !== true,
    })
  },
}
