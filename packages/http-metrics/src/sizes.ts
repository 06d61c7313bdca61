/**
 * Counts the bytes of bodies as they pass. A Content-Length header is only a promise, and many bodies have none.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { RouteSeries } from './instruments.ts'
import type { RawResponse } from './protocol.ts'

/** The bytes of one request and its response. */
export interface CountedBodies {
  /** Records both sizes. */
  observe(route: RouteSeries): void
}

/** Counts bodies from now on. It replaces methods of these two objects only. */
export function countBodies(request: IncomingMessage | Http2ServerRequest, response: RawResponse): CountedBodies {
  let received = 0
  let sent = 0

  const push = request.push
  request.push = function countedPush(chunk: unknown, encoding?: BufferEncoding): boolean {
    received += byteLength(chunk, encoding)
    return push.call(this, chunk, encoding)
  }
  let isEnding = false
  for (const name of ['write', 'end'] as const) {
    const original = response[name] as (...args: unknown[]) => unknown
    Object.assign(response, {
      [name](this: RawResponse, chunk: unknown, ...rest: unknown[]) {
        // `end` of HTTP/2 writes its chunk by `write`.
        if (!isEnding) sent += byteLength(chunk, rest[0])
        isEnding ||= name === 'end'
        return original.call(this, chunk, ...rest)
      },
    })
  }

  return {
    observe(route) {
      route.requestSize?.observe(received)
      const hasBody = request.method !== 'HEAD' && response.statusCode !== 204 && response.statusCode !== 304
      route.responseSize?.observe(hasBody ? sent : 0)
    },
  }
}

function byteLength(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk, encoding as BufferEncoding | undefined)
  return chunk instanceof Uint8Array ? chunk.byteLength : 0
}
