/**
 * The series of one instrument, found by their labels. Labels are kept as the bytes that a scrape prints, next to each
 * other in chunks that series share. A string per series, which is also the key of a map entry, takes twice the memory
 * and has to be encoded at each scrape.
 * See docs/decisions/0004-an-own-table-of-series.md.
 *
 * @module
 */
import { copyKey, hashOf, isKeyOf, type LabelKey } from '../encoding/label-bytes.ts'
import { type Bytes, type Labelled, roundUp } from '../encoding/writer.ts'

/**
 * Chunks grow with the instrument between these sizes, in bytes. A chunk is garbage once all of its series are removed.
 */
const SMALLEST_CHUNK = 256
const LARGEST_CHUNK = 8192

/**
 * One series: where its label text lies (`method="GET",status="200"`), and whether it counts against the cardinality
 * limit.
 */
export abstract class Series implements Labelled {
  // Three fields, since an object of their own would cost each series another 48 bytes.
  readonly labelView: DataView
  readonly labelStart: number
  readonly labelLength: number
  /** Whether the series was known beforehand and does not count against the cardinality limit. */
  isReserved = false

  constructor({ view, start, length }: Bytes) {
    this.labelView = view
    this.labelStart = start
    this.labelLength = length
  }

  /** The label text, which identifies the series within its instrument. */
  get labelText(): string {
    return Buffer.from(this.labelView.buffer, this.labelStart, this.labelLength).toString()
  }
}

/** Largest share of the slots in use. */
const LARGEST_LOAD = 3 / 4
const FEWEST_SLOTS = 8

/**
 * Series by label set, in the order in which they were added: a hash table of positions in a list, with open addressing
 * and linear probing. A Map takes twice the memory and is slower to iterate.
 */
export class SeriesTable<S extends Series> {
  size = 0
  /** The position of a removed series stays empty until the list is rebuilt. */
  #list: Array<S | undefined> = []
  /** Positions in the list by hash, counted from 1; 0 is free. */
  #slots = new Int32Array(FEWEST_SLOTS)
  #chunk = new DataView(new ArrayBuffer(0))
  #used = 0
  #stored = 0

  /**
   * Returns every series, and `undefined` where one was removed. Series added during an iteration may be missing from
   * it.
   */
  list(): ReadonlyArray<S | undefined> {
    return this.#list
  }

  *values(): Generator<S> {
    for (const series of this.#list) if (series !== undefined) yield series
  }

  /** Returns the series of a label set. */
  find(key: LabelKey): S | undefined {
    const position = this.#positionOf(key)
    return position === 0 ? undefined : this.#list[position - 1]
  }

  /** Adds the series that `create` makes of the stored label text. The label set must be new. */
  add(key: LabelKey, create: (labels: Bytes) => S): S {
    if (this.#list.length >= this.#slots.length * LARGEST_LOAD) this.#rebuild()
    const series = create(this.#store(key))
    this.size += 1
    this.#insert(series, key.hash)
    return series
  }

  /** Removes and returns the series of a label set, if there is one. */
  delete(key: LabelKey): S | undefined {
    const position = this.#positionOf(key)
    if (position === 0) return undefined
    const series = this.#list[position - 1]
    this.#list[position - 1] = undefined
    this.size -= 1
    return series
  }

  #positionOf(key: LabelKey): number {
    const slots = this.#slots
    const last = slots.length - 1
    for (let slot = key.hash & last; ; slot = (slot + 1) & last) {
      const position = slots[slot]!
      if (position === 0) return 0
      const series = this.#list[position - 1]
      if (series !== undefined && isKeyOf(key, series)) return position
    }
  }

  #insert(series: S, hash: number): void {
    const slots = this.#slots
    const last = slots.length - 1
    let slot = hash & last
    while (slots[slot] !== 0) slot = (slot + 1) & last
    slots[slot] = this.#list.push(series)
  }

  /** Makes room and drops empty positions. An iteration over the previous list continues on that list. */
  #rebuild(): void {
    const before = this.#list
    const isFull = this.size > (this.#slots.length * LARGEST_LOAD) / 2
    this.#slots = new Int32Array(isFull ? this.#slots.length * 2 : this.#slots.length)
    this.#list = []
    for (const series of before) if (series !== undefined) this.#insert(series, hashOf(series))
  }

  /** Copies a label text to where it stays. */
  #store(key: LabelKey): Bytes {
    const { length } = key
    const size = roundUp(length)
    if (this.#used + size > this.#chunk.byteLength) {
      const chunkSize = Math.min(Math.max(this.#stored, SMALLEST_CHUNK), LARGEST_CHUNK)
      this.#chunk = new DataView(new ArrayBuffer(Math.max(chunkSize, size)))
      this.#used = 0
    }
    const start = this.#used
    copyKey(key, this.#chunk, start)
    this.#used += size
    this.#stored += size
    return { view: this.#chunk, start, length }
  }
}
