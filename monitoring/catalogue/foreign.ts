/**
 * Metrics that no package of ours exposes: those that Prometheus makes for each target, and those of the servers and
 * exporters that our rules and dashboards read. A name that is not listed here is an error in a query.
 *
 * @module
 */
import type { Metric } from '@data20/promql-lint'

/** Metrics of each target, without labels of their own. */
const TARGET_METRICS = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
]

/** Metrics whose labels we do not check. */
const OPEN_METRICS = [
  'ALERTS',
  'ALERTS_FOR_STATE',
  'alertmanager_config_last_reload_successful',
  'alertmanager_notifications_failed_total',
  'alertmanager_notifications_total',
  'pg_up',
  'prometheus_config_last_reload_successful',
  'prometheus_notifications_errors_total',
  'prometheus_notifications_sent_total',
  'prometheus_rule_evaluation_failures_total',
  'redis_up',
]

export const foreignMetrics: readonly Metric[] = [
  ...TARGET_METRICS.map((name): Metric => ({ name, type: 'gauge' })),
  ...OPEN_METRICS.map((name): Metric => ({ name, type: name.endsWith('_total') ? 'counter' : 'gauge', isOpen: true })),
]
