/**
 * The exposition as bytes, put together where it is sent from. A string made of parts is a tree, and to write it is to
 * call into the runtime and walk that tree; what a scrape repeats is kept as bytes and copied four at a time instead.
 *
 * @module
 */
import { formatValue } from './labels.ts'

/** Bytes that can be read four at a time to their end: up to three more follow them. */
export interface Bytes {
  readonly view: DataView
  readonly start: number
  readonly length: number
}

const ZERO = 48
/** Whole numbers below this are written digit by digit, with 32-bit arithmetic. */
const INTEGERS_BELOW = 1_000_000_000
const SPACE = toBytes(' ')
const OPEN = toBytes('{')
const CLOSE = toBytes('} ')
const COMMA = toBytes(',')
const NEWLINE = toBytes('\n')

/** A text to be copied again and again. */
export function toBytes(text: string): Bytes {
  const bytes = Buffer.from(text)
  const view = new DataView(new ArrayBuffer(roundUp(bytes.length)))
  for (const [index, byte] of bytes.entries()) view.setUint8(index, byte)
  return { view, start: 0, length: bytes.length }
}

/** The next multiple of four. */
export function roundUp(length: number): number {
  return (length + 3) & ~3
}

/** A buffer that grows; positions in it stay true when it does. */
export class ByteWriter {
  /** Bytes written. */
  length = 0
  #bytes: Buffer
  #view: DataView

  constructor(expectedLength: number) {
    this.#bytes = Buffer.allocUnsafe(expectedLength)
    this.#view = viewOf(this.#bytes)
  }

  /** What was written. The writer is of no use after it. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  /** Writes a text. */
  text(text: string): void {
    // A UTF-16 unit takes at most three bytes.
    if (this.length + text.length * 3 > this.#bytes.length) this.#makeRoom(Buffer.byteLength(text))
    this.length += this.#bytes.write(text, this.length)
  }

  /** Writes bytes that were made beforehand. */
  copy({ view, start, length }: Bytes): void {
    this.#copy(view, start, length)
  }

  /** Writes once more what stands between two positions. */
  again(start: number, end: number): void {
    if (this.length + end - start + 3 > this.#bytes.length) this.#makeRoom(end - start + 3)
    this.#copy(this.#view, start, end - start)
  }

  /** What stands in braces before another label: `name_bucket{` and the labels of a series. */
  openLabels(name: Bytes, labels: Bytes): void {
    this.copy(name)
    this.copy(OPEN)
    if (labels.length === 0) return
    this.copy(labels)
    this.copy(COMMA)
  }

  /** A line up to its value: name, labels if there are any, a space. */
  name(name: Bytes, labels: Bytes): void {
    this.copy(name)
    if (labels.length === 0) {
      this.copy(SPACE)
      return
    }
    this.copy(OPEN)
    this.copy(labels)
    this.copy(CLOSE)
  }

  /** A number as Prometheus reads it, and what may follow it on its line. */
  value(value: number, exemplar = ''): void {
    if (value >= 0 && value < INTEGERS_BELOW && Number.isInteger(value)) this.#integer(value | 0)
    else this.#ascii(formatValue(value))
    if (exemplar !== '') this.text(exemplar)
    this.copy(NEWLINE)
  }

  #integer(integer: number): void {
    if (this.length + 10 > this.#bytes.length) this.#makeRoom(10)
    const bytes = this.#bytes
    let rest = integer
    let position = this.length + countDigits(integer)
    this.length = position
    do {
      const tenth = (rest / 10) | 0
      position -= 1
      bytes[position] = ZERO + rest - tenth * 10
      rest = tenth
    } while (rest > 0)
  }

  /** For texts so short that the call into the runtime would cost more than they. */
  #ascii(text: string): void {
    if (this.length + text.length > this.#bytes.length) this.#makeRoom(text.length)
    const bytes = this.#bytes
    const to = this.length
    for (let index = 0; index < text.length; index += 1) bytes[to + index] = text.charCodeAt(index)
    this.length = to + text.length
  }

  /** Writes up to three bytes too many, which whatever comes next overwrites. */
  #copy(from: DataView, start: number, length: number): void {
    if (this.length + length + 3 > this.#bytes.length) this.#makeRoom(length + 3)
    const view = this.#view
    const to = this.length
    for (let offset = 0; offset < length; offset += 4) {
      view.setInt32(to + offset, from.getInt32(start + offset, true), true)
    }
    this.length = to + length
  }

  #makeRoom(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length + needed * 2))
    this.#bytes.copy(larger, 0, 0, this.length)
    this.#bytes = larger
    this.#view = viewOf(larger)
  }
}

/** All of a buffer, to be read and written by words. */
export function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}

function countDigits(integer: number): number {
  let digits = 1
  for (let power = 10; integer >= power; power *= 10) digits += 1
  return digits
}
