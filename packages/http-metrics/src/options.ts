import type { FastifyRequest } from 'fastify'

/** A custom label: a finite set of values, and the function that finds the value of a request. */
export interface CustomLabel {
  /** The values that the label can have; whatever else `value` returns is counted as `other`. */
  values: readonly string[]
  /**
   * Called once at the end of each request, so that what hooks decorated is there. When it throws, the value is `other`
   * and the error is counted in `metrics_errors_total`.
   */
  value(request: FastifyRequest): string | undefined
}

/** `config.metrics` of a route; `false` leaves the route out. */
export interface RouteMetricsOptions {
  /** What the endpoint label says instead of the route's pattern. Routes with the same text are counted together. */
  endpoint?: string
  /** Upper bounds of this route's durations in seconds, instead of the plugin's. */
  buckets?: readonly number[]
}

export interface HttpMetricsOptions {
  /**
   * Upper bounds of `http_request_duration_seconds`, in seconds. A threshold that somebody is alerted on must be a bound.
   * @default 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10
   */
  buckets?: readonly number[]

  /**
   * Endpoints that are not measured: route patterns (`/health/live`), with `*` for any rest (`/admin/*`), regular
   * expressions, or `unmatched`. Decided once per route, so it costs a request nothing.
   * @default []
   */
  ignore?: ReadonlyArray<string | RegExp>

  /**
   * Label `status` by class (`2xx`) instead of by number.
   * @default false
   */
  groupStatus?: boolean

  /**
   * Further labels of `http_requests_total`, `http_errors_total` and `http_request_duration_seconds`. Each multiplies
   * the series by its values.
   * @default {}
   */
  labels?: Record<string, CustomLabel>

  /**
   * Name of the label that holds the route's pattern. Targets of prometheus-operator carry an `endpoint` label of their
   * own, beside which this one becomes `exported_endpoint` unless the scrape sets `honorLabels`.
   * @default 'endpoint'
   */
  endpointLabel?: string

  /**
   * Measure request and response bodies in bytes, as they pass. Wraps `write`, `end` and `push` of each request.
   * @default false
   */
  sizes?: boolean

  /**
   * Statuses whose series exist at 0 for every registered route from the start, so that `increase()` sees the first
   * event; `true` for 200, 400 and 500 (with `groupStatus` for all classes). HEAD and OPTIONS routes are left out.
   * @default true
   */
  initialize?: boolean | readonly number[]
}
