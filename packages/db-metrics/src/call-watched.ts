/**
 * Observes how a call ends, in both forms that drivers have: callback and promise.
 *
 * @module
 */
import type { Method } from '@data20/metrics-core/plugin'

/**
 * Calls a method that takes a callback or returns a promise, in the form in which it was called. Calls `ended` with the
 * error, or with undefined and the value, directly before the caller learns the outcome.
 *
 * The caller gets a promise derived from the original one. A side branch would mark a rejection that the caller ignores
 * as handled, and hide it from `unhandledRejection`.
 */
export function callWatched(
  original: Method,
  self: unknown,
  args: unknown[],
  callbackIndex: number,
  ended: (error: unknown, value?: unknown) => void,
): unknown {
  const callback = args[callbackIndex]
  if (typeof callback === 'function') {
    args[callbackIndex] = function (this: unknown, ...outcome: unknown[]) {
      ended(outcome[0], outcome[1])
      return callback.apply(this, outcome)
    }
    return original.apply(self, args)
  }
  return (original.apply(self, args) as Promise<unknown>).then(
    (value) => {
      ended(undefined, value)
      return value
    },
    (error) => {
      ended(error)
      throw error
    },
  )
}
