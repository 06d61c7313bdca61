/**
 * Calls whose end is watched, in whatever form they were made.
 *
 * @module
 */
import type { Method } from '@data20/metrics-core/plugin'

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
