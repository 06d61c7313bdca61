/**
 * The series of one instrument, found by their labels. Labels are kept as the bytes that a scrape prints, side by side
 * in chunks that series share: a string of its own, and its place as the key of a map, would weigh twice as much, and
 * would have to be turned into bytes at each scrape.
 *
 * @module
 */
import { randomInt } from 'node:crypto'
import { type Bytes, roundUp, viewOf } from './writer.ts'

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
  /** The next series whose labels have the same hash. */
  next: this | undefined = undefined

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

/** Where a label text is turned into bytes to be looked for. */
let scratch = Buffer.alloc(1024)
let scratchView = viewOf(scratch)
/** A scratch buffer larger than this is not kept. */
const LARGEST_SCRATCH = 65_536

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

  get(labelText: string): S | undefined {
    const length = encode(labelText)
    return this.#find(hashOf(length), length)
  }

  /** Adds what `make` makes of the labels. They must be new. */
  add(labelText: string, make: (labels: Bytes) => S): S {
    const length = encode(labelText)
    const series = make(this.#store(length))
    this.#link(hashOf(length), series)
    return series
  }

  /** Removes the series of a label text; returns it, if there was one. */
  delete(labelText: string): S | undefined {
    const length = encode(labelText)
    const hash = hashOf(length)
    const series = this.#find(hash, length)
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

  #find(hash: number, length: number): S | undefined {
    let series = this.#byHash.get(hash)
    while (series !== undefined && !isEncoded(series, length)) series = series.next
    return series
  }

  #link(hash: number, series: S): void {
    this.size += 1
    const head = this.#byHash.get(hash)
    // Second in its chain, so that the head keeps its place in the order.
    series.next = head?.next
    if (head === undefined) this.#byHash.set(hash, series)
    else head.next = series
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
    const view = this.#chunk
    for (let offset = 0; offset < length; offset += 4) view.setInt32(start + offset, scratchView.getInt32(offset))
    this.#used += size
    this.#stored += size
    return { view, start, length }
  }
}

/** Puts a label text into the scratch buffer, filled up with zeros to a multiple of four; returns its length in bytes. */
function encode(labelText: string): number {
  // A UTF-16 unit takes at most three bytes.
  const needed = labelText.length * 3 + 4
  if (needed > scratch.length || scratch.length > LARGEST_SCRATCH) {
    scratch = Buffer.alloc(Math.max(needed, 1024))
    scratchView = viewOf(scratch)
  }
  const length = scratch.write(labelText)
  scratchView.setInt32(length, 0)
  return length
}

/** A hash of what was encoded, below 2³⁰, so that V8 keeps it as a small integer (the mixing step of MurmurHash2). */
function hashOf(length: number): number {
  let hash = SEED ^ length
  for (let offset = 0; offset < length; offset += 4) {
    const word = Math.imul(scratchView.getInt32(offset), 0x5bd1e995)
    hash = Math.imul(hash, 0x5bd1e995) ^ word ^ (word >>> 24)
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x5bd1e995)
  return (hash ^ (hash >>> 15)) & 0x3fffffff
}

/** Whether the labels of a series are what was encoded. */
function isEncoded({ view, start, length }: Series, encodedLength: number): boolean {
  if (length !== encodedLength) return false
  for (let offset = 0; offset < length; offset += 4) {
    if (view.getInt32(start + offset) !== scratchView.getInt32(offset)) return false
  }
  return true
}
