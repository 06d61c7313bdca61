/**
 * Tells how a request for another protocol ended. The answer goes to the socket and bypasses the response.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { patch } from '@data20/metrics-core/plugin'
import { completeEnding, incompleteEnding } from './http1.ts'
import { isResponseClosed } from './internals.ts'
import type { Protocol } from './protocol.ts'

export const upgrade: Protocol<ServerResponse> = {
  isClosed: isResponseClosed,
  watch(response, notes) {
    watchStatus(response.req.socket, (status) => {
      notes.answered = status
    })
  },
  endingOf(response, notes) {
    // Only its socket closes the response of an upgrade, so a destroyed socket says nothing about it.
    return response.writableFinished ? completeEnding(response) : incompleteEnding(response, notes)
  },
  isStream: (_response, notes) => notes.answered === 101,
}

/**
 * Calls `found` with the status of the first answer that is written to a socket. Wrappers that others put around
 * `write` and `end` stay.
 */
function watchStatus(socket: Duplex, found: (status: number) => void): void {
  let isFound = false
  const restore = ['write', 'end'].map((name) =>
    patch(socket, name, (original) => {
      return function watched(...args) {
        if (!isFound) look(args[0])
        return original.apply(this, args)
      }
    }),
  )

  function look(chunk: unknown): void {
    const [, status] = /^HTTP\/1\.\d (\d{3})\b/.exec(firstBytes(chunk)) ?? []
    // An answer follows every 1xx except 101.
    if (status !== '101' && status?.startsWith('1') !== false) return
    isFound = true
    for (const putBack of restore) putBack()
    found(Number(status))
  }
}

function firstBytes(chunk: unknown): string {
  if (typeof chunk === 'string') return chunk.slice(0, 16)
  return chunk instanceof Uint8Array ? Buffer.from(chunk.subarray(0, 16)).toString('latin1') : ''
}
