/**
 * What metrics-core says of itself. The labels come from the process, never from a request, so they need no cap.
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
    help: 'Scrapes by the HTTP status that answered them.',
    labelNames: ['status'],
    maxSeries: false,
  },
  series: {
    type: 'gauge',
    name: 'metrics_series',
    help: 'Series in the last exposition.',
  },
  overflow: {
    type: 'counter',
    name: 'metrics_series_overflow_total',
    help: 'Observations folded into the overflow series of a metric that has reached its cap.',
    labelNames: ['metric'],
    maxSeries: false,
  },
  collectorSuccess: {
    type: 'gauge',
    name: 'metrics_collector_success',
    help: 'Whether the last run of a collector ended well and in time.',
    aggregator: 'min',
    labelNames: ['collector'],
    maxSeries: false,
  },
  collectorDuration: {
    type: 'gauge',
    name: 'metrics_collector_duration_seconds',
    help: 'Time that the last run of a collector took, its deadline at most.',
    aggregator: 'max',
    labelNames: ['collector'],
    maxSeries: false,
  },
  collectorLastSuccess: {
    type: 'gauge',
    name: 'metrics_collector_last_success_timestamp_seconds',
    help: 'Seconds since the epoch at which a collector last ended well: the age of the values that it shows.',
    aggregator: 'min',
    labelNames: ['collector'],
    maxSeries: false,
  },
  errors: {
    type: 'counter',
    name: 'metrics_errors_total',
    help: 'Callbacks of the application that threw while something was measured, by the plugin that called them.',
    labelNames: ['plugin'],
    maxSeries: false,
  },
  appInfo: {
    type: 'gauge',
    name: 'app_info',
    help: 'The application that this exposition is of; always 1.',
    aggregator: 'first',
    labelNames: ['name', 'node_version', 'version'],
    maxSeries: false,
  },
} as const

/** Statuses that a scrape can be answered with. */
export const SCRAPE_STATUSES: readonly number[] = [200, 401, 500, 503]

/** The values of labels that have a fixed set of them. */
export const labelValues: LabelValues = { status: SCRAPE_STATUSES.map(String) }
