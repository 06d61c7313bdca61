/**
 * Requests for another protocol: who takes one answers on the socket, past the response.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** Whether a request came by the server's `upgrade` event. */
export function isUpgrade(request: IncomingMessage | undefined): boolean {
  return (request as { upgrade?: boolean } | undefined)?.upgrade === true
}

/** Calls `found` with the status of the first answer that is written to a socket. */
export function watchStatus(socket: Duplex, found: (status: number) => void): void {
  const { write, end } = socket
  for (const [name, original] of Object.entries({ write, end })) {
    Object.assign(socket, {
      [name](this: Duplex, ...args: unknown[]) {
        const [, status] = /^HTTP\/1\.\d (\d{3})\b/.exec(firstBytes(args[0])) ?? []
        // After 1xx comes an answer, but for 101.
        if (status === '101' || status?.startsWith('1') === false) {
          Object.assign(socket, { write, end })
          found(Number(status))
        }
        return Reflect.apply(original, this, args)
      },
    })
  }
}

function firstBytes(chunk: unknown): string {
  if (typeof chunk === 'string') return chunk.slice(0, 16)
  return chunk instanceof Uint8Array ? Buffer.from(chunk.subarray(0, 16)).toString('latin1') : ''
}
