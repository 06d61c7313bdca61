/**
 * The metrics of metrics-core about itself. Their labels come from the process, never from a request, so they have no
 * cardinality limit. Those of Node.js are in `nodejs/metrics.ts`.
 *
 * @module
 */
import type { LabelValues } from './definition.ts'

export const definitions = {
  scrapeDuration: {
    type: 'histogram',
    name: 'metrics_scrape_duration_seconds',
    help: 'Time from a scrape request to its exposition, collectors included.',
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  scrapes: {
    type: 'counter',
    name: 'metrics_scrapes_total',
    help: 'Scrapes by HTTP status of the response.',
    labelNames: ['status'],
    maxSeries: false,
  },
  series: {
    type: 'gauge',
    name: 'metrics_series',
    help: 'Series in the last exposition.',
    aggregator: 'max',
  },
  overflow: {
    type: 'counter',
    name: 'metrics_series_overflow_total',
    help: 'Observations on the overflow series of a metric that has reached its cardinality limit.',
    labelNames: ['metric'],
    maxSeries: false,
  },
  truncated: {
    type: 'counter',
    name: 'metrics_labels_truncated_total',
    help: 'Label values of a metric that were longer than maxLabelLength and were cut.',
    labelNames: ['metric'],
    maxSeries: false,
  },
  collectorSuccess: {
    type: 'gauge',
    name: 'metrics_collector_success',
    help: 'Whether the last run of a collector succeeded before its deadline.',
    aggregator: 'min',
    labelNames: ['collector'],
    maxSeries: false,
  },
  collectorDuration: {
    type: 'gauge',
    name: 'metrics_collector_duration_seconds',
    help: 'Duration of the last run of a collector, at most its deadline.',
    aggregator: 'max',
    labelNames: ['collector'],
    maxSeries: false,
  },
  collectorLastSuccess: {
    type: 'gauge',
    name: 'metrics_collector_last_success_timestamp_seconds',
    help: 'Time of the last success of a collector in seconds since the epoch; its values are as old as that.',
    aggregator: 'min',
    labelNames: ['collector'],
    maxSeries: false,
  },
  errors: {
    type: 'counter',
    name: 'metrics_errors_total',
    help: "Errors thrown by the application's own callbacks, by the plugin that called them.",
    labelNames: ['plugin'],
    maxSeries: false,
  },
  appInfo: {
    type: 'gauge',
    name: 'app_info',
    help: 'Name and version of the application, and the Node.js version; always 1.',
    aggregator: 'first',
    isState: true,
    labelNames: ['name', 'node_version', 'version'],
    maxSeries: false,
  },
} as const

/** Statuses that a scrape can be answered with. */
export const SCRAPE_STATUSES: readonly number[] = [200, 401, 500, 503]

/** The values of labels that have a fixed set of them. */
export const labelValues: LabelValues = { status: SCRAPE_STATUSES.map(String) }

export { definitions as nodejsDefinitions, labelValues as nodejsLabelValues } from './nodejs/metrics.ts'
