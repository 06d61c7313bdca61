/**
 * Panels that stand on the overview and on the dashboard of their package.
 *
 * @module
 */
import { JOB, type Panel, type Query, TARGET } from './panel.ts'

/** The settings of a panel that shows the saturation of connection pools. */
export const poolSaturation: Pick<Panel, 'unit' | 'threshold' | 'alert' | 'max'> = {
  unit: 'percentunit',
  threshold: 0.9,
  alert: 'DbPoolSaturated',
  max: 1,
}

/** Returns the query for the connections in use over the limit of their pool. `prefix` begins the legend. */
export function poolSaturationQuery(prefix = ''): Query {
  return {
    expression: `job_instance_pool:db_connections_active_per_max:ratio_avg5m{${TARGET}}`,
    legend: `${prefix}{{pool}} {{instance}}`,
  }
}

/** Returns the panel for the age of the oldest job in each queue. */
export function oldestJob(legend: string): Panel {
  return {
    title: 'Age of the oldest job',
    description: 'How long the oldest job that could run has waited. It grows when workers do not keep up.',
    unit: 's',
    threshold: 300,
    alert: 'QueueOldestJobTooOld',
    queries: [{ expression: `job_queue:queue_oldest_waiting_seconds:max{${JOB}}`, legend }],
  }
}
