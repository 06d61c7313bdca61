/**
 * The metric catalogue: every metric that an application with all plugins exposes, made from the packages' definitions.
 * `test/catalogue.test.ts` compares it with a real exposition.
 *
 * @module
 */
import * as cache from '@data20/cache-metrics/metrics'
import * as db from '@data20/db-metrics/metrics'
import * as http from '@data20/http-metrics/metrics'
import * as core from '@data20/metrics-core/metrics'
import type { Definition, Definitions, LabelValues } from '@data20/metrics-core/plugin'
import * as queue from '@data20/queue-metrics/metrics'
import * as system from '@data20/system-metrics/metrics'
import * as tool from '@data20/tool-metrics/metrics'

export type MetricType = Definition['type']

/** A metric as queries see it. */
export interface Metric extends Omit<Definition, 'labelNames' | 'aggregator' | 'maxSeries' | 'unit'> {
  /** In alphabetical order, without those of the target (`job`, `instance`). */
  labels: readonly string[]
  /** The values of those labels that have a fixed set of them. */
  values: LabelValues
  /** The package that exposes it. */
  package: string
}

/** The labels that Prometheus adds to every series of a target. */
export const TARGET_LABELS: readonly string[] = ['instance', 'job']

/** The value of the label `endpoint` for requests that matched no route. */
export const UNMATCHED: string = http.UNMATCHED

/** Every metric of the packages, in the order of the packages. */
export const catalogue: readonly Metric[] = [
  ...metricsOf('http-metrics', http),
  ...metricsOf('tool-metrics', tool),
  ...metricsOf('db-metrics', db),
  ...metricsOf('queue-metrics', queue),
  ...metricsOf('cache-metrics', cache),
  ...metricsOf('system-metrics', system),
  ...metricsOf('metrics-core', core),
  ...metricsOf('metrics-core', { definitions: core.nodejsDefinitions, labelValues: core.nodejsLabelValues }),
]

function metricsOf(
  packageName: string,
  { definitions, labelValues }: { definitions: Definitions; labelValues: LabelValues },
): Metric[] {
  return Object.values(definitions).map(({ labelNames = [], aggregator, maxSeries, unit, ...definition }) => ({
    ...definition,
    labels: [...labelNames].sort(),
    values: Object.fromEntries(Object.entries(labelValues).filter(([label]) => labelNames.includes(label))),
    package: packageName,
  }))
}
