/**
 * Streams of HTTP/2, of whose end Node.js (20 to 24) does not always tell: it closes no response to HEAD that the handler has
 * not ended, and some streams not at all.
 *
 * @module
 */
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import { performance } from 'node:perf_hooks'

interface OpenStream {
  readonly stream: ServerHttp2Stream
  readonly end: (millisecondsAgo: number) => void
  /** How often it was found forgotten, and when first. */
  sightings: number
  seen: number
}

const SIGHTING_MS = 500
/** A healthy stream may look forgotten while the system takes its last bytes. */
const SIGHTINGS = 4

const open = new Set<OpenStream>()
let timer: NodeJS.Timeout | undefined

const sessions = new WeakMap<ServerHttp2Stream, Http2Session>()

/** The session of a watched stream, which a closed stream has forgotten. */
export function sessionOf(stream: ServerHttp2Stream): Http2Session | undefined {
  return sessions.get(stream)
}

/**
 * Calls `end` when a stream has ended, once or more. The argument says how long ago the end was, in milliseconds, at most
 * {@link SIGHTING_MS} too little.
 */
export function watchStream(stream: ServerHttp2Stream, end: (millisecondsAgo: number) => void): void {
  // Reset with NO_ERROR, a stream is aborted and not closed while something of it waits to be sent.
  stream.on('aborted', () => end(0))
  // Reset so in the instant of its answer, or left behind by a client that has said GOAWAY, it is neither.
  const watched = { stream, end, sightings: 0, seen: 0 }
  open.add(watched)
  stream.on('close', () => {
    open.delete(watched)
    end(0)
  })
  timer ??= setInterval(endForgotten, SIGHTING_MS).unref()
  if (stream.session !== undefined) sessions.set(stream, stream.session)
}

function endForgotten(): void {
  for (const watched of open) {
    if (!watched.stream.closed || watched.stream.destroyed) continue
    if (watched.sightings === 0) watched.seen = performance.now()
    watched.sightings += 1
    if (watched.sightings < SIGHTINGS) continue
    open.delete(watched)
    watched.end(performance.now() - watched.seen)
  }
  if (open.size > 0) return
  clearInterval(timer)
  timer = undefined
}
