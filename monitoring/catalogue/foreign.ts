/**
 * Metrics that no package of ours exposes: those that Prometheus makes itself, and those of the servers and exporters
 * beside the application that rules and dashboards use. Their labels are their own business, but a name has to be here.
 *
 * @module
 */

/** With the labels of the target and no others. */
export const targetMetrics: readonly string[] = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
]

/** With labels of their own. */
export const foreignMetrics: readonly string[] = [
  'ALERTS',
  'ALERTS_FOR_STATE',
  'alertmanager_notifications_failed_total',
  'prometheus_notifications_errors_total',
]
