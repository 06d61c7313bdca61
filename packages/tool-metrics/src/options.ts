/**
 * The options of tool-metrics: their meaning, their defaults and their checks.
 *
 * @module
 */
import {
  checkBuckets,
  checkList,
  checkOptionNames,
  InvalidOptionError,
  type OptionNames,
} from '@data20/metrics-core/plugin'
import { definitions } from './metrics.ts'

export interface ToolMetricsOptions {
  /**
   * The names of the tools. `observe` adds more later.
   * @default []
   */
  tools?: readonly string[]

  /**
   * Bucket boundaries of `tool_execution_duration_seconds`, in seconds. A threshold that an alert uses must be a
   * boundary: `histogram_quantile` never returns more than the last one.
   * @default 0.01 0.05 0.1 0.5 1 5 10 30 60 120 300 600 1800
   */
  buckets?: readonly number[]

  /**
   * Tells that a result stands for a failure, such as `{ ok: false }`. The execution then counts as `failed`. If the
   * callback throws, the execution counts as completed and the error is counted in `metrics_errors_total`.
   * @default no result is a failure
   */
  isFailure?: (result: unknown, tool: string) => boolean
}

export interface ResolvedOptions extends Required<Omit<ToolMetricsOptions, 'isFailure'>> {
  isFailure: ToolMetricsOptions['isFailure']
}

const NAMES: OptionNames<ToolMetricsOptions> = {
  tools: ['names'],
  buckets: ['histogramBuckets', 'durationBuckets'],
  isFailure: ['failed'],
}

/** Returns the options with their defaults. Throws `InvalidOptionError`. */
export function resolveOptions(options: ToolMetricsOptions): ResolvedOptions {
  checkOptionNames('tool-metrics', options, NAMES)
  const { tools = [], buckets = definitions.duration.buckets, isFailure } = options
  checkList(tools, 'tools')
  checkBuckets(buckets)
  if (isFailure !== undefined && typeof isFailure !== 'function') {
    throw new InvalidOptionError('isFailure', 'a function', isFailure)
  }
  return { tools, buckets, isFailure }
}
