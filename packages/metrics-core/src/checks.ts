/**
 * Checks of options that several plugins have. Each throws an {@link InvalidOptionError}.
 *
 * @module
 */
import { InvalidOptionError } from './errors.ts'

/** Throws unless bucket boundaries are ascending finite numbers. */
export function checkBuckets(buckets: readonly number[], option = 'buckets'): void {
  // A copy without holes, which `every` would skip.
  if (!Array.isArray(buckets) || !Array.from(buckets).every(isBound)) {
    throw new InvalidOptionError(option, 'ascending finite numbers', buckets)
  }

  function isBound(bound: unknown, index: number): boolean {
    return Number.isFinite(bound) && (index === 0 || (bound as number) > buckets[index - 1]!)
  }
}

/** Throws unless a value is an array. A string is refused too, although it can be iterated. */
export function checkList(list: unknown, option: string): void {
  if (!Array.isArray(list)) throw new InvalidOptionError(option, 'an array', list)
}

/** Longest delay of a Node.js timer, in milliseconds. With a longer one the timer fires at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/**
 * Throws unless a timer can wait that many milliseconds. 0 is allowed only with `canBeZero`, where no time may be left.
 */
export function checkTimeout(milliseconds: number, option: string, canBeZero = false): void {
  const isLongEnough = canBeZero ? milliseconds >= 0 : milliseconds > 0
  if (isLongEnough && milliseconds <= MAX_TIMEOUT_MS) return
  throw new InvalidOptionError(option, `a number ${canBeZero ? '≥' : '>'} 0, at most ${MAX_TIMEOUT_MS}`, milliseconds)
}
