/**
 * The buckets of a histogram, and the memory of its series' numbers.
 *
 * @module
 */
import { checkBuckets } from '../checks.ts'
import { formatBound } from '../encoding/labels.ts'
import { type Bytes, toBytes } from '../encoding/writer.ts'

/** Largest number of series whose numbers share one array. */
const LARGEST_CHUNK = 64

/** Bucket boundaries, shared by all series that have the same ones. */
export class Bounds {
  /** Upper bounds, ascending, without +Inf. */
  readonly values: readonly number[]
  /** The end of a bucket's labels: `le="0.005"} `, …, `le="+Inf"} `. */
  readonly ends: readonly Bytes[]
  /** Numbers of one series: a count for each bucket, that of +Inf last, then the sum. */
  readonly size: number
  #chunk = new Float64Array(0)
  #used = 0

  /** Throws unless the boundaries are ascending finite numbers. */
  constructor(buckets: readonly number[]) {
    checkBuckets(buckets)
    this.values = [...buckets]
    this.ends = [...buckets, Infinity].map((bound) => toBytes(`le="${formatBound(bound)}"} `))
    this.size = buckets.length + 2
  }

  /** Returns room for one more series, all zeros. An array per series would take more memory than its numbers. */
  allocate(): { numbers: Float64Array; start: number } {
    if (this.#used === this.#chunk.length) {
      const seriesBefore = this.#chunk.length / this.size
      this.#chunk = new Float64Array(Math.min(Math.max(1, seriesBefore * 2), LARGEST_CHUNK) * this.size)
      this.#used = 0
    }
    const start = this.#used
    this.#used += this.size
    return { numbers: this.#chunk, start }
  }
}
