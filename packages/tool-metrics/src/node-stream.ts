/**
 * The end of Node.js streams, of which the readable side counts.
 *
 * @module
 */
import { errorMonitor } from 'node:events'
import type { Readable } from 'node:stream'
import type { Ending, Streamed } from './ending.ts'

/** How a stream is destroyed whose reader has gone: by `pipeline`, and by `destroy` while it is written to. */
const READER_GONE = ['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']

/** Tells whether an object is a readable stream, of `node:stream` or of a package that has its interface. */
export function isNodeStream(value: object): value is Readable {
  const { pipe, on, readable } = value as Partial<Readable>
  // `readable` is false once the stream has ended, and missing on a stream that is only written to.
  return typeof pipe === 'function' && typeof on === 'function' && typeof readable === 'boolean'
}

/** Observes a stream by listeners that start no reading and leave an unhandled `error` unhandled. */
export function observeNodeStream(stream: Readable, { completed, failed, cancelled }: Ending): Streamed {
  if (stream.errored) failed(stream.errored)
  else if (stream.readableEnded) completed()
  else if (stream.destroyed) cancelled()
  stream.on('end', completed).on('close', cancelled).on(errorMonitor, onError)
  const reference = new WeakRef(stream)
  return { isRead: () => isRead(reference.deref()) }

  function onError(error: NodeJS.ErrnoException): void {
    if (READER_GONE.includes(error?.code ?? '')) cancelled()
    else failed(error)
  }
}

/** A stream flows, or somebody waits for what can be read. A stream that was paused or never read does neither. */
function isRead(stream: Readable | undefined): boolean {
  return stream !== undefined && (stream.readableFlowing === true || stream.listenerCount('readable') > 0)
}
