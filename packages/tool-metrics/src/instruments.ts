/**
 * The instruments of tool-metrics. Every series is bound when its tool is observed, so an execution looks up nothing
 * but its tool.
 *
 * @module
 */
import type { CounterSeries, GaugeSeries, HistogramSeries, Metrics } from '@data20/metrics-core'
import { definitions, REJECTIONS, STATUSES, type ToolRejection, type ToolStatus } from './metrics.ts'

/** The bound series of one tool. */
export interface ToolSeries {
  executions: Record<ToolStatus, CounterSeries>
  duration: HistogramSeries
  active: GaugeSeries
  lastSuccess: GaugeSeries
}

export interface Instruments {
  rejections: Record<ToolRejection, CounterSeries>
  /** Makes the series of a tool at zero, or returns those that exist. */
  reserve(tool: string): ToolSeries
}

export function createInstruments(metrics: Metrics, buckets: readonly number[]): Instruments {
  // The order of the calls is the order of the exposition.
  const executions = metrics.counter(definitions.executions)
  const duration = metrics.histogram({ ...definitions.duration, buckets })
  const active = metrics.gauge(definitions.active)
  const lastSuccess = metrics.gauge(definitions.lastSuccess)
  const rejections = metrics.counter(definitions.rejections)

  return { rejections: byKey(REJECTIONS, (reason) => rejections.reserve({ reason })), reserve }

  function reserve(tool_name: string): ToolSeries {
    return {
      executions: byKey(STATUSES, (status) => executions.reserve({ status, tool_name })),
      duration: duration.reserve({ tool_name }),
      active: active.reserve({ tool_name }),
      lastSuccess: lastSuccess.reserve({ tool_name }),
    }
  }
}

function byKey<Key extends string, Value>(keys: readonly Key[], make: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>
}
