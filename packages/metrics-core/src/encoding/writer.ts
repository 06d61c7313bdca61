/**
 * Builds an exposition in one buffer. Building it as a string is slow: V8 keeps a concatenated string as a tree, which
 * has to be walked to encode it. Text that repeats from scrape to scrape is encoded once and copied, eight bytes at a
 * time.
 *
 * @module
 */
import { LONGEST_NUMBER, writeNumber } from './decimal.ts'

/** UTF-8 text, padded so that it can be read four bytes at a time to its end. */
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

/** Bytes that stay free behind every piece: for separators, and for what a copy by words writes beyond its end. */
const SPARE = 4
/** Bytes of a word. */
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

/** Encodes a {@link Name}. */
export function toName(name: string): Name {
  return { plain: toBytes(name), open: toBytes(`${name}{`) }
}

/** Encodes text that is copied many times. */
export function toBytes(text: string): Bytes {
  const bytes = Buffer.from(text)
  const view = new DataView(new ArrayBuffer(roundUp(bytes.length)))
  for (const [index, byte] of bytes.entries()) view.setUint8(index, byte)
  return { view, start: 0, length: bytes.length }
}

/** Returns the next multiple of four. */
export function roundUp(length: number): number {
  return (length + 3) & ~3
}

/** A buffer that grows. Positions in it stay valid when it does. */
export class ByteWriter {
  /** Bytes written. */
  length = 0
  #bytes: Buffer
  #view: DataView

  constructor(expectedLength: number) {
    this.#bytes = Buffer.allocUnsafe(expectedLength)
    this.#view = viewOf(this.#bytes)
  }

  /** Returns the bytes written. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  /** Writes a string. */
  text(text: string): void {
    // A UTF-16 unit takes at most three bytes.
    const longest = text.length * 3 + SPARE
    if (this.length + longest > this.#bytes.length) this.#makeRoom(longest)
    this.length += this.#bytes.write(text, this.length)
  }

  /** Writes encoded text. */
  copy({ view, start, length }: Bytes): void {
    this.#copy(view, start, length)
  }

  /** Writes the bytes between two positions once more. */
  again(start: number, end: number): void {
    this.#copy(this.#view, start, end - start)
  }

  /** Writes a line up to its value: the name, the labels of a series if it has any, a space. */
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

  /** Writes a line up to its last label: `name_bucket{`, the labels of a series, a comma. */
  openLabels({ open }: Name, { labelView, labelStart, labelLength }: Labelled): void {
    this.copy(open)
    if (labelLength === 0) return
    this.#copy(labelView, labelStart, labelLength)
    this.#byte(COMMA)
  }

  /** Writes a number as Prometheus reads it, an exemplar, and the end of the line. */
  value(value: number, exemplar = ''): void {
    const longest = LONGEST_NUMBER + SPARE
    if (this.length + longest > this.#bytes.length) this.#makeRoom(longest)
    this.length = writeNumber(this.#bytes, this.length, value)
    if (exemplar !== '') this.text(exemplar)
    this.#byte(NEWLINE)
  }

  /** Writes a separator without a check: each piece leaves {@link SPARE} bytes. */
  #byte(byte: number): void {
    this.#bytes[this.length] = byte
    this.length += 1
  }

  /**
   * Copies by words of eight bytes, the longest that JavaScript moves unchanged; the last word overlaps the one before
   * it. The words are doubles, and a runtime may change the bits of a NaN. UTF-8 never forms one: the last byte of a
   * NaN is 0xFF, or 0x7F after a byte of 0xF0 or more. Short text is copied by four bytes, up to three too many, which
   * the next piece overwrites.
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

/** Returns a view of a whole buffer, to read and write words. */
export function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}
