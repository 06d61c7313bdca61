/**
 * Writes numbers as text into a buffer. The runtime's own conversion searches for the shortest text and allocates a
 * string. That is slow for the sums of histograms, which differ at each scrape.
 * See docs/decisions/0005-decimal-writer.md.
 *
 * @module
 */
import { formatValue } from './labels.ts'

/** Largest length of a number in bytes; `-1.2345678901234567e-100` has 24. */
export const LONGEST_NUMBER = 32

const ZERO = 48
const POINT = 46
const MINUS = 45
/** Whole numbers below this are written with 32-bit arithmetic. */
const SMALL = 1_000_000_000
/** Smaller numbers are left to the runtime. From here on, products with 10⁸ are exact. */
const SMALLEST_FRACTION = 2 ** -8
/** From here on not every whole number is a double. */
const LARGEST = 2 ** 53
/** Inverse of the unit of the upper half of a fraction's bits. */
const HALF_UNIT = 2 ** 26
/** Digits up to which each decimal has a double of its own. */
const SHORT_DIGITS = 15
/** Digits that distinguish every double from its neighbours. */
const ALL_DIGITS = 17
const CHUNK_DIGITS = 8
const CHUNK = 10 ** CHUNK_DIGITS
/** Exact: powers of ten are doubles up to the 22nd. */
const POWERS = Array.from({ length: 20 }, (_, power) => Number(`1e${power}`))

/**
 * Writes a number as Prometheus reads it, at most {@link LONGEST_NUMBER} bytes; returns the position after it. Read
 * back, the text is the same number. It is the shortest text where 15 digits are enough, and has 17 digits otherwise.
 */
export function writeNumber(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 0 && value < SMALL && Number.isInteger(value)) return writeSmall(bytes, at, value | 0)
  const isNegative = value < 0
  const size = isNegative ? -value : value
  if (!(size >= SMALLEST_FRACTION && size < LARGEST)) return writeText(bytes, at, formatValue(value))
  if (isNegative) bytes[at] = MINUS
  return writeDecimal(bytes, isNegative ? at + 1 : at, size)
}

/** Writes a whole number ≥ 0 below 2³¹. */
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

  // Leading zeros, before and after the point, are not significant digits.
  const digitsBefore = whole > 0 ? wholeDigits : value >= 0.1 ? 0 : value >= 0.01 ? -1 : -2
  let end = writeShortFraction(bytes, point + 1, value, whole, SHORT_DIGITS - digitsBefore)
  if (end < 0) end = writeFraction(bytes, point + 1, value - whole, ALL_DIGITS - digitsBefore)
  while (bytes[end - 1] === ZERO) end -= 1
  return end
}

/** Writes the fraction if that many decimals are enough; returns -1 otherwise. */
function writeShortFraction(bytes: Uint8Array, at: number, value: number, whole: number, decimals: number): number {
  if (decimals < 1) return -1
  const power = POWERS[decimals]!
  const scaled = Math.round(value * power)
  // Both are exact, so their quotient is the double as which the decimal is read (Clinger 1990).
  return scaled / power === value ? writeDigits(bytes, at, scaled - whole * power, decimals) : -1
}

/**
 * Writes that many decimals of a fraction. Each half of its bits times 10⁸ is exact, and so is the remainder after the
 * first eight digits. The remainder is rounded once, with an error below a thousandth of the last digit.
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

/** Writes a whole number ≥ 0 below 2⁵³ with that many digits, zeros first. */
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

/** Writes a whole number ≥ 0 below 2³¹ from one position to another. */
function writeChunk(bytes: Uint8Array, first: number, last: number, integer: number): void {
  let rest = integer | 0
  for (let position = last; position >= first; position -= 1) {
    const tenth = (rest / 10) | 0
    bytes[position] = ZERO + rest - tenth * 10
    rest = tenth
  }
}

/** Writes a string so short that a call into the runtime would cost more. */
function writeText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index)
  return at + text.length
}

function countDigits(integer: number): number {
  let digits = 1
  for (let power = 10; integer >= power; power *= 10) digits += 1
  return digits
}
