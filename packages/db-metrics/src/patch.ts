/**
 * Standing between a caller and a method without either of them noticing.
 *
 * @module
 */

/** A method whose arguments are handed on as they came. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Replaces a method of one object, never of its prototype. The function returned puts back what was there; where somebody
 * else has replaced the method since, it leaves theirs alone.
 */
export function patch(target: object, name: string, wrap: (original: Method) => Method): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name)
  const replacement = wrap((target as Record<string, Method>)[name]!)
  // Not enumerable, so that the object looks the same when it is logged or compared.
  Object.defineProperty(target, name, { value: replacement, configurable: true, enumerable: false, writable: true })
  return () => {
    if (Object.getOwnPropertyDescriptor(target, name)?.value !== replacement) return
    if (before === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, before)
  }
}

/**
 * Calls a method that takes a callback or returns a promise, in the form in which it was called, and calls `ended` directly
 * before the caller hears of the outcome, with the error or nothing.
 *
 * A promise is passed on as one derived from it: a side branch would mark a rejection that the caller ignores as handled, and
 * hide it from `unhandledRejection`.
 */
export function callWatched(
  original: Method,
  self: unknown,
  args: unknown[],
  callbackIndex: number,
  ended: (error: unknown) => void,
): unknown {
  const callback = args[callbackIndex]
  if (typeof callback === 'function') {
    args[callbackIndex] = function (this: unknown, ...outcome: unknown[]) {
      ended(outcome[0])
      return callback.apply(this, outcome)
    }
    return original.apply(self, args)
  }
  return (original.apply(self, args) as Promise<unknown>).then(
    (value) => {
      ended(undefined)
      return value
    },
    (error) => {
      ended(error)
      throw error
    },
  )
}
