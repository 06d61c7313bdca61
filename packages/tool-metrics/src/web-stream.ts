/**
 * The end of web streams. A `ReadableStream` has no events, so its methods are replaced on the object itself. After
 * each use a reader is asked for the state: its `closed` settles as the stream does.
 *
 * @module
 */
import type { ReadableStream, ReadableStreamDefaultReader, ReadableWritablePair } from 'node:stream/web'
import type { Ending, Streamed } from './ending.ts'
import { observeIterable, replace } from './iterator.ts'

type Reader = Pick<ReadableStreamDefaultReader, 'closed' | 'cancel' | 'releaseLock'>
type PipeArguments = Parameters<ReadableStream['pipeTo']>

export function isWebStream(value: object): value is ReadableStream {
  return typeof (value as ReadableStream).getReader === 'function'
}

/** Observes a stream, however it is read: by a reader, a loop, a pipe or its branches. */
export function observeWebStream(stream: ReadableStream, ending: Ending): Streamed {
  const reference = new WeakRef(stream)
  const streamed: Streamed = { isRead: () => reference.deref()?.locked ?? false }
  const { getReader } = stream
  const probe = (onClosed: () => void) => probeUnlocked(reference.deref(), getReader, { ...ending, onClosed }, streamed)

  // Leaving a loop cancels the stream, unless the loop has `preventCancel`.
  observeIterable(stream, { ...ending, cancelled: () => probe(ending.cancelled) })
  replace(stream, 'values', stream[Symbol.asyncIterator])
  replaceReader(stream, ending, streamed)
  replaceEnds(stream, ending, probe)
  replaceTee(stream, ending)
  probe(ending.completed)
  return streamed
}

/** Reports how a stream has ended that no reader has locked. */
function probeUnlocked(
  stream: ReadableStream | undefined,
  getReader: ReadableStream['getReader'],
  { onClosed, failed }: { onClosed(): void; failed(error: unknown): void },
  streamed: Streamed,
): void {
  if (stream === undefined || stream.locked) return
  const reader = getReader.call(stream) as Reader
  const { closed } = reader
  let isOpen = false
  closed.then(onClosed, (error) => {
    if (!isOpen) failed(error)
  })
  reader.releaseLock()
  // The standard rejects the promise of an open stream here, and replaces that of a stream that has ended.
  isOpen = reader.closed === closed
  // The second promise is rejected as well.
  reader.closed.catch(() => {})
  if (isOpen) streamed.onIdle?.()
}

function replaceReader(stream: ReadableStream, ending: Ending, streamed: Streamed): void {
  const { getReader } = stream
  replace(stream, 'getReader', function getObserved(this: ReadableStream, ...options: []) {
    const reader: Reader = getReader.apply(this, options)
    const { cancel, releaseLock } = reader
    let isCancelled = false
    let isReleased = false
    replace(reader, 'cancel', function cancelObserved(this: Reader, reason?: unknown) {
      isCancelled = true
      return cancel.call(this, reason)
    })
    replace(reader, 'releaseLock', function releaseObserved(this: Reader) {
      isReleased = true
      releaseLock.call(this)
      streamed.onIdle?.()
    })
    reader.closed.then(
      () => (isCancelled ? ending.cancelled() : ending.completed()),
      (error) => {
        if (!isReleased) ending.failed(error)
      },
    )
    return reader
  })
}

function replaceEnds(stream: ReadableStream, ending: Ending, probe: (onClosed: () => void) => void): void {
  const { pipeTo, cancel } = stream
  replace(stream, 'pipeTo', pipe)
  replace(stream, 'pipeThrough', function pipeThrough(this: ReadableStream, pair: ReadableWritablePair, options) {
    // As the standard does: who reads the other side learns of a failure there.
    pipe.call(this, pair.writable, options).catch(() => {})
    return pair.readable
  } as ReadableStream['pipeThrough'])
  replace(stream, 'cancel', function cancelObserved(this: ReadableStream, reason?: unknown) {
    const done = cancel.call(this, reason)
    probe(ending.cancelled)
    return done
  })

  function pipe(this: ReadableStream, ...options: PipeArguments): Promise<void> {
    const done = pipeTo.apply(this, options)
    // A pipe that fails has cancelled the stream, unless the stream failed itself or `preventCancel` keeps it open.
    done.then(ending.completed, () => probe(ending.cancelled))
    return done
  }
}

/** Observes both branches. The stream was cancelled when both are. */
function replaceTee(stream: ReadableStream, ending: Ending): void {
  const { tee } = stream
  replace(stream, 'tee', function teeObserved(this: ReadableStream) {
    const branches = tee.call(this)
    const open = new Set(branches)
    for (const branch of branches) {
      const cancelled = () => {
        if (open.delete(branch) && open.size === 0) ending.cancelled()
      }
      observeWebStream(branch, { ...ending, cancelled })
    }
    return branches
  })
}
