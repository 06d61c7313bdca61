/**
 * Tells how a response of `inject()` ended. It is HTTP/1.1 on a socket that does nothing; the client leaves by the
 * option `signal`, which destroys the request.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { adapter, endingWithoutConnection } from './adapter.ts'
import { completeEnding, http1 } from './http1.ts'
import type { Protocol } from './protocol.ts'

export const inject: Protocol<ServerResponse> = {
  ...http1,
  endingOf(response, notes) {
    // inject() destroys a response when it is ended, before the stream counts it as finished.
    return response.writableEnded ? completeEnding(response) : endingWithoutConnection(response, notes)
  },
  isStream: adapter.isStream,
}
