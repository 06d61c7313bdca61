/**
 * A metric and its samples as plain data: the JSON form in which both Prometheus clients describe a metric, and in
 * which the workers of a cluster send theirs to the primary.
 *
 * @module
 */
import type { LabelValue } from '../encoding/labels.ts'

/** How a metric of several processes is combined into one; prom-client's names. */
export type Aggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'

/** A metric as plain data, whoever made it: an instrument, a metric class of a client, or another process. */
export interface Family {
  name: string
  help: string
  type: string
  unit?: string
  aggregator?: string
  values?: readonly Sample[]
}

/** One sample of a {@link Family}. Clients keep labels that several samples share in `sharedLabels`. */
export interface Sample {
  labels?: Record<string, LabelValue>
  sharedLabels?: Record<string, LabelValue> | undefined
  value: number
  /** The name of the sample where it is not that of the family: `…_bucket`, `…_sum`, `…_count`. */
  metricName?: string
  exemplar?: { labelSet: Record<string, string>; value: number; timestamp: number } | null
}

/** The {@link Family} of an instrument, which knows more about itself. */
export interface InstrumentFamily extends Family {
  type: 'counter' | 'gauge' | 'histogram'
  aggregator: Aggregator
  values: InstrumentSample[]
}

/** One sample of an {@link InstrumentFamily}; it has all of its labels itself. */
export interface InstrumentSample extends Sample {
  labels: Record<string, string | number>
}

/** A metric of a Prometheus client's own class. It runs its own collect function while it is read. */
export interface ClientMetric {
  name: string
  get(): Family | Promise<Family>
}
