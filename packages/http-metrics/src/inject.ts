/**
 * Tells how a response of `inject()` ended. It is HTTP/1.1 on a socket that does nothing.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { completeEnding, http1 } from './http1.ts'
import { areHeadersSent, headerStatus } from './internals.ts'
import { endingOfIncomplete, type Protocol } from './protocol.ts'

export const inject: Protocol<ServerResponse> = {
  ...http1,
  endingOf(response, notes) {
    // inject() destroys a response when it is ended, before the stream counts it as finished.
    if (response.writableEnded) return completeEnding(response)
    return endingOfIncomplete(notes, {
      sentStatus: headerStatus(response),
      areHeadersSent: areHeadersSent(response),
      // The client of inject() leaves by its `signal`, which destroys the request.
      isBrokenByServer: response.req?.destroyed !== true,
    })
  },
}
