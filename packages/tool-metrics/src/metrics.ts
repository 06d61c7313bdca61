/**
 * The metrics of tool-metrics. Names and labels are public API.
 *
 * @module
 */
import type { LabelValues } from '@data20/metrics-core/plugin'

/** The outcomes of an execution. */
export const STATUSES = ['completed', 'failed', 'timeout', 'cancelled'] as const

/** The reasons why a request never became an execution. */
export const REJECTIONS = ['unknown_tool', 'invalid_input', 'overloaded'] as const

/** The outcome of an execution. */
export type ToolStatus = (typeof STATUSES)[number]

/** The reason why a request never became an execution. */
export type ToolRejection = (typeof REJECTIONS)[number]

export const definitions = {
  executions: {
    type: 'counter',
    name: 'tool_executions_total',
    help: 'Tool executions by how they ended: completed, failed, timeout or cancelled.',
    labelNames: ['status', 'tool_name'],
  },
  duration: {
    type: 'histogram',
    name: 'tool_execution_duration_seconds',
    help: 'Time that a tool ran, however it ended.',
    labelNames: ['tool_name'],
    unit: 'seconds',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800],
  },
  active: {
    type: 'gauge',
    name: 'tool_executions_active',
    help: 'Tools running now.',
    labelNames: ['tool_name'],
    isState: true,
    aggregator: 'sum',
  },
  rejections: {
    type: 'counter',
    name: 'tool_rejections_total',
    help: 'Requests for a tool that never became an execution: unknown_tool, invalid_input or overloaded.',
    labelNames: ['reason'],
  },
  lastSuccess: {
    type: 'gauge',
    name: 'tool_last_success_timestamp_seconds',
    help: 'Seconds since the epoch at which a tool last completed; 0 before the first time.',
    labelNames: ['tool_name'],
    unit: 'seconds',
    aggregator: 'max',
  },
} as const

/** The values of labels with a fixed set of values. */
export const labelValues: LabelValues = { status: STATUSES, reason: REJECTIONS }
