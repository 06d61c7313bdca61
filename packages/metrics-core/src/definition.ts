/**
 * A metric as data. `metrics.ts` of each package exports its metrics as `definitions`; the instruments, the documents and
 * the PromQL lint are all made from them.
 *
 * @module
 */
import type { Aggregator } from './instruments/family.ts'

/** One metric. Its name and labels are public API. */
export interface Definition {
  type: 'counter' | 'gauge' | 'histogram'
  /** `<stem>_<thing>_<unit>`, ending in `_total` for a counter. */
  name: string
  /** One sentence that a newcomer understands. */
  help: string
  /** @default [] */
  labelNames?: readonly string[]
  /** Base unit, which is the suffix of the name. */
  unit?: string
  /** Upper bounds of a histogram, without +Inf. */
  buckets?: readonly number[]
  /** How the metric of several processes is combined into one. @default 'sum' */
  aggregator?: Aggregator
  /** The cardinality limit; `false` where the labels never come from a request. */
  maxSeries?: number | false
  /** `true` for a value that is read from a broker and equal in every process: its sum over processes means nothing. */
  isShared?: boolean
  /** When the metric exists, where that is not always. */
  condition?: string
}

/** The metrics of a package, by a short name. */
export type Definitions = Readonly<Record<string, Definition>>

/** The values of a package's labels, of those that have a fixed set of them. `metrics.ts` exports them as `labelValues`. */
export type LabelValues = Readonly<Record<string, readonly string[]>>
