/**
 * The series of one instrument, found by their labels. Labels are kept as the bytes that a scrape prints, side by side
 * in chunks that series share: a string of its own, and its place as the key of a map, would weigh twice as much, and
 * would have to be turned into bytes at each scrape.
 *
 * @module
 */
import { randomInt } from 'node:crypto'
import { copyEncoded, encodedLength, hashEncoded, isEncoded } from './label-bytes.ts'
import { type Bytes, roundUp } from './writer.ts'

/** Chunks grow with the instrument between these sizes, in bytes. One that has lost all its series is garbage. */
const SMALLEST_CHUNK = 256
const LARGEST_CHUNK = 16_384
/** So that nobody can know which labels meet in one hash. */
const SEED = randomInt(2 ** 31)

/** One series: the bytes of its labels as exposition text (`method="GET",status="200"`), and what the label guard knows of it. */
export abstract class Series implements Bytes {
  readonly view: DataView
  readonly start: number
  readonly length: number
  /** Whether the series was known beforehand and does not count against the cap. */
  isReserved = false
  /** The next series whose labels have the same hash; few have one, so few have the property. */
  declare next?: this | undefined

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

/** Series by label text, in the order in which they were made. */
export class SeriesTable<S extends Series> {
  size = 0
  readonly #byHash: Map<number, S> = new Map()
  #chunk = new DataView(new ArrayBuffer(0))
  #used = 0
  #stored = 0

  /** The first series of each hash; the others follow by `next`. */
  heads(): Iterable<S> {
    return this.#byHash.values()
  }

  *values(): Generator<S> {
    for (const head of this.#byHash.values()) {
      for (let series: S | undefined = head; series !== undefined; series = series.next) yield series
    }
  }

  /** The series of the labels that were encoded last. */
  find(): S | undefined {
    return this.#find(hashEncoded(SEED))
  }

  /** Adds what `make` makes of the labels that were encoded last. They must be new. */
  add(make: (labels: Bytes) => S): S {
    const hash = hashEncoded(SEED)
    const series = make(this.#store(encodedLength()))
    this.size += 1
    const head = this.#byHash.get(hash)
    if (head === undefined) {
      this.#byHash.set(hash, series)
    } else {
      // Second in its chain, so that the head keeps its place in the order.
      series.next = head.next
      head.next = series
    }
    return series
  }

  /** Removes the series of the labels that were encoded last; returns it, if there was one. */
  delete(): S | undefined {
    const hash = hashEncoded(SEED)
    const series = this.#find(hash)
    if (series === undefined) return undefined
    this.size -= 1
    const head = this.#byHash.get(hash)!
    if (head !== series) {
      let before = head
      while (before.next !== series) before = before.next!
      before.next = series.next
    } else if (series.next === undefined) this.#byHash.delete(hash)
    else this.#byHash.set(hash, series.next)
    return series
  }

  #find(hash: number): S | undefined {
    let series = this.#byHash.get(hash)
    while (series !== undefined && !isEncoded(series)) series = series.next
    return series
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
