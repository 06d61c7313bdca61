export interface ToolMetricsOptions {
  /**
   * Tools known beforehand; `register` adds more later.
   * @default []
   */
  tools?: readonly string[]

  /**
   * Upper bounds of `tool_execution_duration_seconds`, in seconds. A threshold that somebody is alerted on must be a
   * bound: `histogram_quantile` never says more than the last one.
   * @default 0.01 0.05 0.1 0.5 1 5 10 30 60 120 300 600 1800
   */
  buckets?: readonly number[]

  /**
   * Says of a tool's answer that it stands for a failure (`{ ok: false }`), which is then counted as `failed`. When it
   * throws, the execution counts as completed and the error in `metrics_errors_total`.
   * @default no answer is a failure
   */
  isFailure?: (result: unknown, tool: string) => boolean
}
