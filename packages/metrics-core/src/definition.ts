/**
 * A metric as data. Each package exports its metrics as `definitions` from `metrics.ts`; instruments, documents and the
 * PromQL lint are made from them.
 *
 * @module
 */
import type { Aggregator } from './instruments/family.ts'

/** What every metric has. Its name and labels are public API. */
interface Base {
  /** `<stem>_<thing>_<unit>`, ending in `_total` for a counter. */
  name: string
  /** One sentence that a newcomer understands. */
  help: string
  /** @default [] */
  labelNames?: readonly string[]
  /** Base unit, which is the suffix of the name. */
  unit?: string
  /** Bucket boundaries of a histogram, without +Inf. */
  buckets?: readonly number[]
  /** The cardinality limit; `false` where the labels never come from a request. */
  maxSeries?: number | false
  /** `true` for a value read from a broker, which is equal in every process: its sum over processes has no meaning. */
  isShared?: boolean
  /** When the metric exists, where that is not always: `on Linux`. */
  condition?: string
}

/** A gauge states how the values of several processes are combined into one. Often that is not their sum. */
interface GaugeDefinition extends Base {
  type: 'gauge'
  /** Whether nothing sets the value again, so that it survives a reset of the registry. */
  isState?: boolean
  aggregator: Aggregator
}

/** Counters and histograms of several processes are summed, unless they say otherwise. */
interface CountedDefinition extends Base {
  type: 'counter' | 'histogram'
  aggregator?: Aggregator
}

/** One metric. */
export type Definition = GaugeDefinition | CountedDefinition

/** The metrics of a package, by a short name. */
export type Definitions = Readonly<Record<string, Definition>>

/**
 * The values of those labels of a package that have a fixed set of values. `metrics.ts` exports them as `labelValues`.
 */
export type LabelValues = Readonly<Record<string, readonly string[]>>
