/**
 * Tells how a response of `inject()` ended. It is HTTP/1.1 on a socket that does nothing.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { completeEnding, http1, incompleteEnding } from './http1.ts'
import type { Protocol } from './protocol.ts'

export const inject: Protocol<ServerResponse> = {
  ...http1,
  endingOf(response, notes) {
    // inject() destroys a response when it is ended, before the stream counts it as finished.
    return response.writableEnded ? completeEnding(response) : incompleteEnding(response, notes)
  },
}
