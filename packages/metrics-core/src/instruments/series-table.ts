/**
 * The series of one instrument, found by their labels. Labels are kept as the bytes that a scrape prints, side by side
 * in chunks that series share: a string of its own, and its place as the key of a map, would weigh twice as much, and
 * would have to be turned into bytes at each scrape.
 *
 * @module
 */
import { copyEncoded, encodedLength, hashBytes, hashEncoded, isEncoded } from '../encoding/label-bytes.ts'
import { type Bytes, roundUp } from '../encoding/writer.ts'

/** Chunks grow with the instrument between these sizes, in bytes. One that has lost all its series is garbage. */
const SMALLEST_CHUNK = 256
const LARGEST_CHUNK = 8192

/** One series: the bytes of its labels as exposition text (`method="GET",status="200"`), and what the label guard knows of it. */
export abstract class Series implements Bytes {
  readonly view: DataView
  readonly start: number
  readonly length: number
  /** Whether the series was known beforehand and does not count against the cap. */
  isReserved = false

  constructor({ view, start, length }: Bytes) {
    this.view = view
    this.start = start
    this.length = length
  }

  /** The labels as exposition text; identifies the series within its instrument. */
  get labelText(): string {
    return Buffer.from(this.view.buffer, this.start, this.length).toString()
  }
}

/** The share of the slots that are taken, at most. */
const LARGEST_LOAD = 3 / 4
const FEWEST_SLOTS = 8

/**
 * Series by label text, in the order in which they were made: a hash table of their places in a list, with open addressing
 * and linear probing. A Map would take twice the memory, and be slower to walk.
 */
export class SeriesTable<S extends Series> {
  size = 0
  /** Where a series was removed its place stays empty, until the list is made anew. */
  #list: Array<S | undefined> = []
  /** By hash, places in the list, counted from 1; 0 is free. */
  #slots = new Int32Array(FEWEST_SLOTS)
  #chunk = new DataView(new ArrayBuffer(0))
  #used = 0
  #stored = 0

  /** Every series, and `undefined` where one was removed. Those added while somebody walks it may come after its end. */
  list(): ReadonlyArray<S | undefined> {
    return this.#list
  }

  *values(): Generator<S> {
    for (const series of this.#list) if (series !== undefined) yield series
  }

  /** The series of the labels that were encoded last. */
  find(): S | undefined {
    const place = this.#placeOfEncoded()
    return place === 0 ? undefined : this.#list[place - 1]
  }

  /** Adds what `make` makes of the labels that were encoded last. They must be new. */
  add(make: (labels: Bytes) => S): S {
    if (this.#list.length >= this.#slots.length * LARGEST_LOAD) this.#rebuild()
    const hash = hashEncoded()
    const series = make(this.#store(encodedLength()))
    this.size += 1
    this.#insert(series, hash)
    return series
  }

  /** Removes the series of the labels that were encoded last; returns it, if there was one. */
  delete(): S | undefined {
    const place = this.#placeOfEncoded()
    if (place === 0) return undefined
    const series = this.#list[place - 1]
    this.#list[place - 1] = undefined
    this.size -= 1
    return series
  }

  #placeOfEncoded(): number {
    const slots = this.#slots
    const last = slots.length - 1
    for (let slot = hashEncoded() & last; ; slot = (slot + 1) & last) {
      const place = slots[slot]!
      if (place === 0) return 0
      const series = this.#list[place - 1]
      if (series !== undefined && isEncoded(series)) return place
    }
  }

  #insert(series: S, hash: number): void {
    const slots = this.#slots
    const last = slots.length - 1
    let slot = hash & last
    while (slots[slot] !== 0) slot = (slot + 1) & last
    slots[slot] = this.#list.push(series)
  }

  /** Makes room, without those removed; whoever walks the list that was goes on with it. */
  #rebuild(): void {
    const before = this.#list
    const isFull = this.size > (this.#slots.length * LARGEST_LOAD) / 2
    this.#slots = new Int32Array(isFull ? this.#slots.length * 2 : this.#slots.length)
    this.#list = []
    for (const series of before) if (series !== undefined) this.#insert(series, hashBytes(series))
  }

  /** Copies what was encoded to where it stays. */
  #store(length: number): Bytes {
    const size = roundUp(length)
    if (this.#used + size > this.#chunk.byteLength) {
      const chunkSize = Math.min(Math.max(this.#stored, SMALLEST_CHUNK), LARGEST_CHUNK)
      this.#chunk = new DataView(new ArrayBuffer(Math.max(chunkSize, size)))
      this.#used = 0
    }
    const start = this.#used
    copyEncoded(this.#chunk, start)
    this.#used += size
    this.#stored += size
    return { view: this.#chunk, start, length }
  }
}
