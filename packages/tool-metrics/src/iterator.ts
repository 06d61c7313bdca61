/**
 * The end of generators, other iterators, and objects that make async iterators.
 *
 * @module
 */
import type { Ending, Streamed } from './ending.ts'

type Step = IteratorResult<unknown>
type Method = (...values: unknown[]) => Step | Promise<Step>

/** An iterator of either protocol. */
interface AnyIterator {
  next: Method
  return?: Method
  throw?: Method
}

/** An iterator under observation. */
interface Reads extends Streamed {
  /** Calls that have not been answered. */
  pending: number
}

/** Tells whether an object is a generator or another iterator that `for` can read. */
export function isIterator(value: object): value is AnyIterator & object {
  return typeof (value as AnyIterator).next === 'function' && (isAsyncIterable(value) || Symbol.iterator in value)
}

export function isAsyncIterable(value: object): value is AsyncIterable<unknown> {
  return typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] === 'function'
}

/** Observes an iterator by methods of its own in place of those of its prototype. */
export function observeIterator(iterator: AnyIterator & object, ending: Ending): Streamed {
  const reads: Reads = { pending: 0, isRead: () => reads.pending > 0 }
  replaceMethods(iterator, reads, ending)
  return reads
}

/** Observes the iterators of an object that makes them. The first one that ends is the end. */
export function observeIterable(iterable: AsyncIterable<unknown>, ending: Ending): Streamed {
  const reads: Reads = { pending: 0, isRead: () => reads.pending > 0 }
  const make = iterable[Symbol.asyncIterator]
  replace(iterable, Symbol.asyncIterator, function makeObserved(this: AsyncIterable<unknown>, ...values: []) {
    const iterator = make.apply(this, values)
    replaceMethods(iterator as AnyIterator, reads, ending)
    return iterator
  })
  return reads
}

/** Gives an object a property of its own that hides the one of its prototype. A frozen object stays as it is. */
export function replace(object: object, key: PropertyKey, value: unknown): void {
  Reflect.defineProperty(object, key, { value, configurable: true, writable: true, enumerable: false })
}

function replaceMethods(iterator: AnyIterator, reads: Reads, ending: Ending): void {
  const { next, return: finish, throw: fail } = iterator
  replace(iterator, 'next', observed(next, reads, ending.completed, ending))
  // Without a `return` nobody would tell that a loop was left.
  replace(iterator, 'return', observed(finish ?? finishOf(iterator), reads, ending.cancelled, ending))
  if (fail !== undefined) replace(iterator, 'throw', observed(fail, reads, ending.completed, ending))
}

/** Returns the `return` that a loop does without. */
function finishOf(iterator: AnyIterator): Method {
  const isAsync = isAsyncIterable(iterator)
  return (value) => (isAsync ? Promise.resolve({ done: true, value }) : { done: true, value })
}

/** Returns the method with an eye on its answer. `onDone` is called when the answer says that the iterator is done. */
function observed(method: Method, reads: Reads, onDone: () => void, ending: Ending): Method {
  return function call(this: unknown, ...values) {
    reads.pending += 1
    let answer: Step | Promise<Step>
    try {
      answer = method.apply(this, values)
    } catch (error) {
      failed(error)
      throw error
    }
    // A second handler: the caller's own still sees a rejection.
    if (typeof (answer as Promise<Step>)?.then === 'function') (answer as Promise<Step>).then(answered, failed)
    else answered(answer as Step)
    return answer
  }

  function answered(step: Step): void {
    reads.pending -= 1
    if (step?.done) onDone()
    else if (reads.pending === 0) reads.onIdle?.()
  }

  function failed(error: unknown): void {
    reads.pending -= 1
    ending.failed(error)
  }
}
