/**
 * Encodes a label set as bytes, to look a series up by: half of the cost of a labelled observation. All calls share one
 * key and one buffer, so that a lookup allocates neither.
 * See docs/decisions/0003-labels-as-bytes-numbers-on-scrape.md.
 *
 * @module
 */
import { randomInt } from 'node:crypto'
import { escapeLabelValue } from './labels.ts'
import { type Bytes, type Labelled, roundUp, viewOf } from './writer.ts'

/** The buffer is replaced by a small one after it grew beyond this, in bytes. */
const LARGEST_SCRATCH = 65_536
/** UTF-16 units from which Buffer's own encoder is faster than a loop, in spite of the call. */
const LONG_TEXT = 64

/** Secret, so that nobody can construct labels that share a hash. */
const SEED = randomInt(2 ** 31)
const MULTIPLIER = randomInt(2 ** 31) | 1

/**
 * An encoded label set and its hash. It is valid until the next {@link encode}, and no application code may run until
 * then.
 */
export interface LabelKey extends Bytes {
  readonly hash: number
}

let scratch = Buffer.alloc(1024)
const key = { view: viewOf(scratch), start: 0, length: 0, hash: 0 }

/**
 * Encodes label values, each after the text that precedes it, then `end`. Zeros pad the last word. The values are not
 * escaped yet. Returns the shared key.
 */
export function encode(before: readonly Bytes[], values: readonly string[], end: Bytes): LabelKey {
  let needed = roundUp(end.length) + 4
  // A UTF-16 unit takes at most three bytes, and an escape by number seven.
  for (let index = 0; index < values.length; index += 1) needed += before[index]!.length + values[index]!.length * 7
  if (needed > scratch.length || scratch.length > LARGEST_SCRATCH) {
    scratch = Buffer.alloc(Math.max(needed, 1024))
    key.view = viewOf(scratch)
  }
  const { view } = key
  let length = 0
  for (let index = 0; index < values.length; index += 1) {
    length = put(view, length, before[index]!)
    length = putValue(length, values[index]!)
  }
  length = put(view, length, end)
  view.setInt32(length, 0)
  key.length = length
  key.hash = hash(view, 0, length)
  return key
}

/** Copies a key in whole words. */
export function copyKey({ view, length }: LabelKey, to: DataView, start: number): void {
  for (let offset = 0; offset < length; offset += 4) to.setInt32(start + offset, view.getInt32(offset))
}

/** Returns whether a key is the label set of a series. */
export function isKeyOf({ view, length }: LabelKey, { labelView, labelStart, labelLength }: Labelled): boolean {
  if (labelLength !== length) return false
  for (let offset = 0; offset < length; offset += 4) {
    if (labelView.getInt32(labelStart + offset) !== view.getInt32(offset)) return false
  }
  return true
}

/** Returns the hash that the key of a series has. */
export function hashOf({ labelView, labelStart, labelLength }: Labelled): number {
  return hash(labelView, labelStart, labelLength)
}

/**
 * Hashes whole words. The result is below 2³⁰, so that V8 keeps it as a small integer. Constant and shifts are
 * MurmurHash2's. The second multiplication makes the outcome of a difference depend on a secret: without it, a
 * difference of the highest bit alone would pass unchanged, and the next word could cancel it.
 */
function hash(words: DataView, start: number, length: number): number {
  let hash = SEED ^ length
  for (let offset = 0; offset < length; offset += 4) {
    hash = Math.imul(hash ^ words.getInt32(start + offset), 0x5bd1e995)
    hash = Math.imul(hash ^ (hash >>> 15), MULTIPLIER)
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x5bd1e995)
  return (hash ^ (hash >>> 15)) & 0x3fffffff
}

/** Writes bytes in whole words; returns the position after them. */
function put(to: DataView, at: number, { view, start, length }: Bytes): number {
  for (let offset = 0; offset < length; offset += 4) to.setInt32(at + offset, view.getInt32(start + offset))
  return at + length
}

/** Writes a label value, escaped; returns the position after it. */
function putValue(at: number, value: string): number {
  if (value.length >= LONG_TEXT) return at + scratch.write(escapeLabelValue(value), at)
  const bytes = scratch
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index)
    // NUL, newline, quote and backslash are escaped; everything beyond ASCII needs an encoder.
    if (code >= 0x80 || code === 0 || code === 10 || code === 34 || code === 92) {
      return at + scratch.write(escapeLabelValue(value), at)
    }
    bytes[at + index] = code
  }
  return at + value.length
}
