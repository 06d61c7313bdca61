/**
 * Numbers as text, written where they are sent from. The runtime's own conversion looks for the shortest text, by a call
 * into it and with a string that is garbage at once; the sums of histograms, which seldom repeat, made that dear.
 *
 * @module
 */
import { formatValue } from './labels.ts'

/** Bytes that a number takes at most; `-1.2345678901234567e-100` takes 24. */
export const LONGEST_NUMBER = 32

const ZERO = 48
const POINT = 46
const MINUS = 45
/** Whole numbers below this are written with 32-bit arithmetic. */
const SMALL = 1_000_000_000
/** Smaller fractions are left to the runtime: from here on, products with 10⁸ are exact. */
const SMALLEST_FRACTION = 2 ** -8
/** From here on the doubles are whole numbers, and not all of them. */
const LARGEST = 2 ** 53
/** The upper half of a fraction's bits has this unit. */
const HALF_UNIT = 2 ** 26
/** A decimal of so many digits is the only one of its length that a double is next to. */
const SHORT_DIGITS = 15
/** So many digits tell every double from its neighbours. */
const ALL_DIGITS = 17
const CHUNK_DIGITS = 8
const CHUNK = 10 ** CHUNK_DIGITS
/** Exact, as powers of ten are up to the 22nd. */
const POWERS = Array.from({ length: 20 }, (_, power) => Number(`1e${power}`))

/**
 * Writes a number as Prometheus reads it, at most {@link LONGEST_NUMBER} bytes; returns the position after it. Read back,
 * the text is the same number: it has the shortest form where 15 digits are enough, and 17 digits where they are not.
 */
export function writeNumber(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 0 && value < SMALL && Number.isInteger(value)) return writeSmall(bytes, at, value | 0)
  const isNegative = value < 0
  const size = isNegative ? -value : value
  if (!(size >= SMALLEST_FRACTION && size < LARGEST)) return writeText(bytes, at, formatValue(value))
  if (isNegative) bytes[at] = MINUS
  return writeDecimal(bytes, isNegative ? at + 1 : at, size)
}

/** A whole number ≥ 0 below 2³¹. */
function writeSmall(bytes: Uint8Array, at: number, integer: number): number {
  const end = at + countDigits(integer)
  writeChunk(bytes, at, end - 1, integer)
  return end
}

function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  const whole = Math.floor(value)
  const wholeDigits = countDigits(whole)
  const point = writeDigits(bytes, at, whole, wholeDigits)
  if (whole === value) return point
  bytes[point] = POINT

  // Zeros after the point are no digits that count, nor is the one before it.
  const digitsBefore = whole > 0 ? wholeDigits : value >= 0.1 ? 0 : value >= 0.01 ? -1 : -2
  let end = writeShortFraction(bytes, point + 1, value, whole, SHORT_DIGITS - digitsBefore)
  if (end < 0) end = writeFraction(bytes, point + 1, value - whole, ALL_DIGITS - digitsBefore)
  while (bytes[end - 1] === ZERO) end -= 1
  return end
}

/** Writes the fraction if so many decimals are enough, and returns -1 if not. */
function writeShortFraction(bytes: Uint8Array, at: number, value: number, whole: number, decimals: number): number {
  if (decimals < 1) return -1
  const power = POWERS[decimals]!
  const scaled = Math.round(value * power)
  // Both are exact, so their quotient is the double that the decimal is read as (Clinger 1990).
  return scaled / power === value ? writeDigits(bytes, at, scaled - whole * power, decimals) : -1
}

/**
 * Writes so many decimals of a fraction. Times 10⁸ each half of its bits is exact, and so is what remains after the
 * first eight digits; the rest is rounded once, with an error below a thousandth of the last digit.
 */
function writeFraction(bytes: Uint8Array, at: number, fraction: number, decimals: number): number {
  const left = decimals - CHUNK_DIGITS
  if (left <= 0) return writeDigits(bytes, at, Math.round(fraction * POWERS[decimals]!), decimals)
  const upper = Math.floor(fraction * HALF_UNIT) / HALF_UNIT
  const product = upper * CHUNK
  let chunk = Math.floor(product)
  let rest = product - chunk + (fraction - upper) * CHUNK
  const carry = Math.floor(rest)
  chunk += carry
  rest -= carry
  let last = Math.round(rest * POWERS[left]!)
  if (last === POWERS[left]) {
    last = 0
    chunk += 1
  }
  return writeDigits(bytes, writeDigits(bytes, at, chunk, CHUNK_DIGITS), last, left)
}

/** A whole number ≥ 0 below 2⁵³ with so many digits, zeros first. */
function writeDigits(bytes: Uint8Array, at: number, integer: number, digits: number): number {
  let rest = integer
  let position = at + digits - 1
  for (; position >= at + CHUNK_DIGITS; position -= CHUNK_DIGITS) {
    const above = Math.floor(rest / CHUNK)
    writeChunk(bytes, position - CHUNK_DIGITS + 1, position, rest - above * CHUNK)
    rest = above
  }
  writeChunk(bytes, at, position, rest)
  return at + digits
}

/** A whole number ≥ 0 below 2³¹ from one position to another. */
function writeChunk(bytes: Uint8Array, first: number, last: number, integer: number): void {
  let rest = integer | 0
  for (let position = last; position >= first; position -= 1) {
    const tenth = (rest / 10) | 0
    bytes[position] = ZERO + rest - tenth * 10
    rest = tenth
  }
}

/** For texts so short that the call into the runtime would cost more than they. */
function writeText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index)
  return at + text.length
}

function countDigits(integer: number): number {
  let digits = 1
  for (let power = 10; integer >= power; power *= 10) digits += 1
  return digits
}
