/**
 * Tells how a response of HTTP/2 ended, by its stream. Node.js (20 to 24) does not report every end: it closes no
 * response to HEAD that the handler has not ended, and some streams not at all.
 * See docs/decisions/0008-http2-streams-are-polled.md.
 *
 * @module
 */
import { constants, type Http2ServerResponse, type Http2Session, type ServerHttp2Stream } from 'node:http2'
import { performance } from 'node:perf_hooks'
import { endingOfIncomplete, isConnectionError, isEventStream, type Protocol } from './protocol.ts'

const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR } = constants

export const http2: Protocol<Http2ServerResponse> = {
  isClosed({ stream }) {
    return stream === undefined || stream.destroyed || stream.aborted
  },
  watch(response, _notes, ender) {
    watchStream(response.stream, (millisecondsAgo) => ender.end(response, millisecondsAgo))
  },
  endingOf(response, notes) {
    if (isComplete(response)) return { status: sentStatus(response), phase: undefined }
    return endingOfIncomplete(notes, {
      sentStatus: sentStatus(response),
      areHeadersSent: response.headersSent,
      isBrokenByServer: isBrokenByServer(response),
    })
  },
  isStream: ({ stream }) => isEventStream(stream?.sentHeaders?.['content-type']),
}

/**
 * Returns whether the whole response was handed to the system. `writableEnded` does not tell: the compatibility layer
 * emits `finish` for a cancelled stream too, which Node.js ends in place of the handler, and Node.js ends the stream of
 * a response to HEAD at once.
 */
function isComplete({ stream, writableEnded }: Http2ServerResponse): boolean {
  return stream === undefined ? writableEnded : stream.writableFinished && !stream.aborted && stream.headersSent
}

/** Returns the status that the client was sent: `statusCode` may have changed since. */
function sentStatus({ stream, statusCode }: Http2ServerResponse): number {
  return Number(stream?.sentHeaders?.[':status'] ?? statusCode)
}

/**
 * Returns whether the server destroyed a response by itself. A client that leaves resets the stream, or Node.js
 * destroys it in the client's name: with another code than these, or with the connection's error, which destroys the
 * session too.
 */
function isBrokenByServer({ stream, req }: Http2ServerResponse): boolean {
  if (!stream?.destroyed || (stream.writableEnded && req?.method !== 'HEAD')) return false
  if (isConnectionError(stream.errored) && sessions.get(stream)?.destroyed !== false) return false
  return stream.rstCode === NGHTTP2_NO_ERROR || stream.rstCode === NGHTTP2_INTERNAL_ERROR
}

interface OpenStream {
  readonly stream: ServerHttp2Stream
  readonly end: (millisecondsAgo: number) => void
  /** How often the stream was found forgotten. */
  sightings: number
  /** When it was first found so, in milliseconds of `performance.now()`. */
  firstSeenMs: number
}

const SIGHTING_INTERVAL_MS = 500
/** A healthy stream may look forgotten while the system takes its last bytes. */
const SIGHTINGS = 4

// Shared by all applications of the process: the streams that are open now, and one timer while there are any.
const open = new Set<OpenStream>()
let timer: NodeJS.Timeout | undefined
/** The session of each watched stream. A closed stream has forgotten its session. */
const sessions = new WeakMap<ServerHttp2Stream, Http2Session>()

/**
 * Calls `end` when a stream has ended, once or more often. Its argument says how long ago the stream ended, in
 * milliseconds; it may be too small by {@link SIGHTING_INTERVAL_MS}.
 */
function watchStream(stream: ServerHttp2Stream, end: (millisecondsAgo: number) => void): void {
  // A stream reset with NO_ERROR is aborted, but not closed while some of its data waits to be sent.
  stream.on('aborted', () => end(0))
  // A stream reset with NO_ERROR at the moment of its answer, or left by a client that sent GOAWAY, is neither.
  const watched: OpenStream = { stream, end, sightings: 0, firstSeenMs: 0 }
  open.add(watched)
  stream.on('close', () => {
    open.delete(watched)
    end(0)
  })
  timer ??= setInterval(endForgotten, SIGHTING_INTERVAL_MS).unref()
  if (stream.session !== undefined) sessions.set(stream, stream.session)
}

function endForgotten(): void {
  for (const watched of open) {
    if (!watched.stream.closed || watched.stream.destroyed) continue
    if (watched.sightings === 0) watched.firstSeenMs = performance.now()
    watched.sightings += 1
    if (watched.sightings < SIGHTINGS) continue
    open.delete(watched)
    watched.end(performance.now() - watched.firstSeenMs)
  }
  if (open.size > 0) return
  clearInterval(timer)
  timer = undefined
}
