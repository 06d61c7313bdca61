/**
 * One scratch buffer, in which a label set is turned into bytes to be looked for: half the way of a labelled
 * observation. Nothing of an application's own runs between {@link encode} and the use of what it left.
 *
 * @module
 */
import { randomInt } from 'node:crypto'
import { escapeLabelValue } from './labels.ts'
import { type Bytes, roundUp, viewOf } from './writer.ts'

/** A scratch buffer larger than this is not kept. */
const LARGEST_SCRATCH = 65_536
/** Longer texts are written by the runtime: it is faster per character, and dearer per call. */
const LONG_TEXT = 64

/** So that nobody can know which labels meet in one hash. */
const SEED = randomInt(2 ** 31)
const MULTIPLIER = randomInt(2 ** 31) | 1

let scratch = Buffer.alloc(1024)
let view = viewOf(scratch)
let length = 0

/**
 * Encodes label values, each after the part of the text that stands before it, up to `end`. Zeros fill up the last word.
 * The values are texts, not escaped yet.
 */
export function encode(before: readonly Bytes[], values: readonly string[], end: Bytes): void {
  let needed = roundUp(end.length) + 4
  // A UTF-16 unit takes at most three bytes, and an escape by number seven.
  for (let index = 0; index < values.length; index += 1) needed += before[index]!.length + values[index]!.length * 7
  if (needed > scratch.length || scratch.length > LARGEST_SCRATCH) {
    scratch = Buffer.alloc(Math.max(needed, 1024))
    view = viewOf(scratch)
  }
  length = 0
  for (let index = 0; index < values.length; index += 1) {
    put(before[index]!)
    putValue(values[index]!)
  }
  put(end)
  view.setInt32(length, 0)
}

/** Bytes of what was encoded. */
export function encodedLength(): number {
  return length
}

/** Copies what was encoded, in whole words. */
export function copyEncoded(to: DataView, start: number): void {
  for (let offset = 0; offset < length; offset += 4) to.setInt32(start + offset, view.getInt32(offset))
}

/** Whether these bytes, filled up with zeros, are what was encoded. */
export function isEncoded(bytes: Bytes): boolean {
  if (bytes.length !== length) return false
  for (let offset = 0; offset < length; offset += 4) {
    if (bytes.view.getInt32(bytes.start + offset) !== view.getInt32(offset)) return false
  }
  return true
}

/** A hash of what was encoded. */
export function hashEncoded(): number {
  return hash(view, 0, length)
}

/** The same hash of bytes that were encoded once, filled up with zeros. */
export function hashBytes(bytes: Bytes): number {
  return hash(bytes.view, bytes.start, bytes.length)
}

/**
 * Below 2³⁰, so that V8 keeps it as a small integer. By MurmurHash2's constant and shifts; the second multiplication makes what
 * becomes of a difference depend on a secret, where a difference of the highest bit alone would pass as it is, to be cancelled
 * by the next word.
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

function put(bytes: Bytes): void {
  const to = length
  for (let offset = 0; offset < bytes.length; offset += 4) {
    view.setInt32(to + offset, bytes.view.getInt32(bytes.start + offset))
  }
  length = to + bytes.length
}

function putValue(value: string): void {
  if (value.length >= LONG_TEXT) {
    length += scratch.write(escapeLabelValue(value), length)
    return
  }
  const bytes = scratch
  const to = length
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index)
    // NUL, newline, quote, backslash, and what is not ASCII.
    if (code >= 0x80 || code === 0 || code === 10 || code === 34 || code === 92) {
      length += scratch.write(escapeLabelValue(value), to)
      return
    }
    bytes[to + index] = code
  }
  length = to + value.length
}
