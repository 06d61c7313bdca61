/**
 * Results that a tool goes on making while its caller reads them: streams, generators and other iterators. Each is
 * observed in place, so the caller gets the object that the tool returned.
 *
 * @module
 */
import type { Ending, Streamed } from './ending.ts'
import { isAsyncIterable, isIterator, observeIterable, observeIterator } from './iterator.ts'
import { isNodeStream, observeNodeStream } from './node-stream.ts'
import { isWebStream, observeWebStream } from './web-stream.ts'

type Observe = (result: never, ending: Ending) => Streamed

/**
 * Returns the function that observes the end of such a result, and `undefined` for any other value: an array, a string
 * or a `Map` can be read again and again, and a frozen object takes no observation.
 */
export function observerOf(result: unknown): Observe | undefined {
  if (typeof result !== 'object' || result === null || !Object.isExtensible(result)) return undefined
  if (isWebStream(result)) return observeWebStream
  if (isNodeStream(result)) return observeNodeStream
  if (isIterator(result)) return observeIterator
  return isAsyncIterable(result) ? observeIterable : undefined
}
