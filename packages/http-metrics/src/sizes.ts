/**
 * Counts the bytes of bodies as they pass. A Content-Length header is only a promise, and many bodies have none.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest, ServerHttp2Stream } from 'node:http2'
import { patch } from '@data20/metrics-core/plugin'
import type { RouteSeries } from './instruments.ts'
import type { RawResponse } from './protocol.ts'

/** The bytes of one request and its response. */
export interface CountedBodies {
  /** Records both sizes. */
  observe(route: RouteSeries): void
}

/** Counts bodies from now on. It replaces methods of these objects only. */
export function countBodies(request: IncomingMessage | Http2ServerRequest, response: RawResponse): CountedBodies {
  let received = 0

  const push = request.push
  request.push = function countedPush(chunk: unknown, encoding?: BufferEncoding): boolean {
    received += byteLength(chunk, encoding)
    return push.call(this, chunk, encoding)
  }
  // The response of HTTP/2 writes to its stream, and so do handlers that use the stream itself.
  const sent = 'stream' in response ? countStream(response.stream) : countWritten(response)

  return {
    observe(route) {
      route.requestSize?.observe(received)
      const hasBody = request.method !== 'HEAD' && response.statusCode !== 204 && response.statusCode !== 304
      const size = hasBody ? sent() : 0
      if (size !== undefined) route.responseSize?.observe(size)
    },
  }
}

/** Counts what is written to a response or stream. Returns the function that returns the bytes until now. */
function countWritten(target: object): () => number {
  let sent = 0
  let isEnding = false
  for (const name of ['write', 'end']) {
    patch(target, name, (original) => {
      return function counted(...args) {
        // `end` may write its chunk by `write`.
        if (!isEnding) sent += byteLength(args[0], args[1])
        isEnding ||= name === 'end'
        return original.apply(this, args)
      }
    })
  }
  return () => sent
}

/** Counts what a stream of HTTP/2 sends; `undefined` for a file of which Node.js does not tell the size. */
function countStream(stream: ServerHttp2Stream): () => number | undefined {
  const written = countWritten(stream)
  let isFile = false
  for (const name of ['respondWithFile', 'respondWithFD']) {
    patch(stream, name, (original) => {
      return function respond(...args) {
        isFile = true
        return original.apply(this, args)
      }
    })
  }

  return () => {
    if (!isFile) return written()
    // The system sends a file, past the stream. Its headers say the size, if the client has it whole.
    const size = Number(stream.sentHeaders?.['content-length'])
    return stream.aborted || Number.isNaN(size) ? undefined : size
  }
}

function byteLength(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk, encoding as BufferEncoding | undefined)
  return chunk instanceof Uint8Array ? chunk.byteLength : 0
}
