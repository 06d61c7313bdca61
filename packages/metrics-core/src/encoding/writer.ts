/**
 * The exposition as bytes, put together where it is sent from. A string made of parts is a tree, and to write it is to
 * call into the runtime and walk that tree; what a scrape repeats is kept as bytes and copied eight at a time instead.
 *
 * @module
 */
import { LONGEST_NUMBER, writeNumber } from './decimal.ts'

/** UTF-8 text that can be read four bytes at a time to its end: up to three more follow it. */
export interface Bytes {
  readonly view: DataView
  readonly start: number
  readonly length: number
}

/** A series: where the text of its labels lies, readable like {@link Bytes}. */
export interface Labelled {
  readonly labelView: DataView
  readonly labelStart: number
  readonly labelLength: number
}

/** Bytes for which every piece leaves room behind it: separators, and what a copy by words writes beyond its end. */
const SPARE = 4
/** A copy by words of eight bytes. */
const WORD = 8
const SPACE = 32
const COMMA = 44
const CLOSE = 125
const NEWLINE = 10

/** The name of a sample. */
export interface Name {
  readonly plain: Bytes
  /** With the brace that opens labels. */
  readonly open: Bytes
}

/** Makes a {@link Name}. */
export function toName(name: string): Name {
  return { plain: toBytes(name), open: toBytes(`${name}{`) }
}

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
    const longest = text.length * 3 + SPARE
    if (this.length + longest > this.#bytes.length) this.#makeRoom(longest)
    this.length += this.#bytes.write(text, this.length)
  }

  /** Writes bytes that were made beforehand. */
  copy({ view, start, length }: Bytes): void {
    this.#copy(view, start, length)
  }

  /** Writes once more what stands between two positions. */
  again(start: number, end: number): void {
    this.#copy(this.#view, start, end - start)
  }

  /** A line up to its value: name, labels if there are any, a space. */
  name({ plain, open }: Name, { labelView, labelStart, labelLength }: Labelled): void {
    if (labelLength === 0) {
      this.copy(plain)
      this.#byte(SPACE)
      return
    }
    this.copy(open)
    this.#copy(labelView, labelStart, labelLength)
    this.#byte(CLOSE)
    this.#byte(SPACE)
  }

  /** A line up to its last label, which follows: `name_bucket{`, and the labels of a series. */
  openLabels({ open }: Name, { labelView, labelStart, labelLength }: Labelled): void {
    this.copy(open)
    if (labelLength === 0) return
    this.#copy(labelView, labelStart, labelLength)
    this.#byte(COMMA)
  }

  /** A number as Prometheus reads it, and what may follow it on its line. */
  value(value: number, exemplar = ''): void {
    const longest = LONGEST_NUMBER + SPARE
    if (this.length + longest > this.#bytes.length) this.#makeRoom(longest)
    this.length = writeNumber(this.#bytes, this.length, value)
    if (exemplar !== '') this.text(exemplar)
    this.#byte(NEWLINE)
  }

  /** A separator: each piece leaves room for {@link SPARE} of them. */
  #byte(byte: number): void {
    this.#bytes[this.length] = byte
    this.length += 1
  }

  /**
   * Copies by the longest words that JavaScript moves as they are, the last one over the one before it. They are doubles,
   * and of a double that is NaN a runtime may change the bits; no piece of a text is one: a NaN ends in 0xFF, or in 0x7F
   * after a byte of 0xF0 or more, and UTF-8 has neither. Short texts are copied by four bytes, up to three too many, which
   * whatever comes next overwrites.
   */
  #copy(from: DataView, start: number, length: number): void {
    if (this.length + length + SPARE > this.#bytes.length) this.#makeRoom(length + SPARE)
    const view = this.#view
    const to = this.length
    if (length < WORD) {
      for (let offset = 0; offset < length; offset += 4) {
        view.setInt32(to + offset, from.getInt32(start + offset, true), true)
      }
    } else {
      const last = length - WORD
      for (let offset = 0; offset < last; offset += WORD) {
        view.setFloat64(to + offset, from.getFloat64(start + offset, true), true)
      }
      view.setFloat64(to + last, from.getFloat64(start + last, true), true)
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
