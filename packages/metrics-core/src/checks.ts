/**
 * Checks of options that several plugins have. They throw an {@link InvalidOptionError}.
 *
 * @module
 */
import { InvalidOptionError } from './errors.ts'

/** Throws unless buckets are ascending finite numbers. */
export function checkBuckets(buckets: readonly number[], option = 'buckets'): void {
  // Spread, since `every` passes over holes.
  if (!Array.isArray(buckets) || ![...buckets].every(isBound)) {
    throw new InvalidOptionError(option, 'ascending finite numbers', buckets)
  }

  function isBound(bound: unknown, index: number): boolean {
    return Number.isFinite(bound) && (index === 0 || (bound as number) > buckets[index - 1]!)
  }
}

/** Throws unless a value is an array, whatever is in it: a text has characters too. */
export function checkList(list: unknown, option: string): void {
  if (!Array.isArray(list)) throw new InvalidOptionError(option, 'a list', list)
}

/** The longest that a timer of Node.js waits; with more it does not wait at all. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** Throws unless a value is a number of milliseconds that a timer can wait; 0 only where a caller's time may be over already. */
export function checkTimeout(milliseconds: number, option: string, canBeZero = false): void {
  const isLongEnough = canBeZero ? milliseconds >= 0 : milliseconds > 0
  if (isLongEnough && milliseconds <= MAX_TIMEOUT_MS) return
  throw new InvalidOptionError(option, `a number ${canBeZero ? '≥' : '>'} 0, at most ${MAX_TIMEOUT_MS}`, milliseconds)
}
