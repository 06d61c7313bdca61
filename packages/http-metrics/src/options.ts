/**
 * The options of the plugin and of a route: their defaults and all checks of them.
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
import type { FastifyRequest } from 'fastify'
import { definitions, UNMATCHED } from './metrics.ts'

/** A custom label: a finite set of values, and the function that returns the value for a request. */
export interface CustomLabel {
  /** The values that the label can have. Anything else that `value` returns is counted as `other`. */
  values: readonly string[]
  /**
   * Returns the label's value for a request. Called once when the request ends, so it sees what hooks have decorated.
   * It runs in the AsyncLocalStorage context in which the request's handler was called. If it throws or returns a
   * promise, the value is `other` and the error is counted in `metrics_errors_total`.
   */
  value(request: FastifyRequest): string | undefined
}

/** `config.metrics` of a route; `false` leaves the route out. */
export interface RouteMetricsOptions {
  /** Value of the endpoint label, instead of the route's pattern. Routes with the same value share their series. */
  endpoint?: string
  /** Bucket boundaries of this route's durations in seconds, instead of the plugin's. */
  buckets?: readonly number[]
  /**
   * The route's responses are open for long, as those of long polling are. They are streams, like event streams and
   * WebSockets, which need no mark.
   * @default false
   */
  stream?: boolean
}

export interface HttpMetricsOptions {
  /**
   * Bucket boundaries of `http_request_duration_seconds`, in seconds. The threshold of an alert must be a boundary.
   * @default 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10
   */
  buckets?: readonly number[]

  /**
   * Endpoints that are not measured: route patterns (`/health/live`), prefixes that end in `*` (`/admin/*`), regular
   * expressions, or `unmatched`. Decided once per route; requests pay nothing for it.
   * @default []
   */
  ignore?: ReadonlyArray<string | RegExp>

  /**
   * Label `status` by class (`2xx`) instead of by number.
   * @default false
   */
  groupStatus?: boolean

  /**
   * Custom labels of `http_requests_total`, `http_errors_total` and `http_request_duration_seconds`. Each label
   * multiplies the number of series by its number of values.
   * @default {}
   */
  labels?: Record<string, CustomLabel>

  /**
   * Name of the label that holds the route's pattern. Targets of prometheus-operator have an `endpoint` label of their
   * own; Prometheus then renames this one to `exported_endpoint` unless the scrape sets `honorLabels`.
   * @default 'endpoint'
   */
  endpointLabel?: string

  /**
   * Measure the bytes of request and response bodies as they pass. Wraps `write`, `end` and `push` of each request.
   * @default false
   */
  sizes?: boolean

  /**
   * Measure the time to the headers of a response, in `http_response_start_seconds`. Wraps a method of each response.
   * @default false
   */
  responseStart?: boolean

  /**
   * Statuses whose series start at 0 for every registered route, so that `increase()` sees the first event. `true`
   * stands for 200, 400 and 500 (all classes with `groupStatus`), and for no status with custom `labels`. An array with
   * custom `labels` stands for these statuses with every combination of the labels' values. HEAD and OPTIONS routes are
   * left out. If all routes had more than 20,000 series together, each has them from its first request.
   * @default true
   */
  initialize?: boolean | readonly number[]
}

/** The plugin's options, checked and with their defaults. */
export interface ResolvedOptions extends Required<Omit<HttpMetricsOptions, 'initialize'>> {
  /** Statuses whose series start at 0; `undefined` where a route has no series before its first request. */
  initialStatuses: readonly number[] | undefined
}

/** A route's options, checked and with their defaults. */
export interface ResolvedRouteOptions {
  endpoint: string
  /** `undefined` for the plugin's buckets. */
  buckets: readonly number[] | undefined
  isStream: boolean
}

/** The initial statuses by default: one of each class that handlers send. */
const INITIAL_STATUSES = [200, 400, 500]
/** One status of each class, for `groupStatus`. */
const INITIAL_CLASSES = [100, 200, 300, 400, 500]

const NAMES: OptionNames<HttpMetricsOptions> = {
  buckets: ['histogramBuckets', 'durationBuckets'],
  ignore: [
    'blacklist',
    'routeBlacklist',
    'routesToExclude',
    'exclude',
    'excludePaths',
    'ignoredPaths',
    'invalidateRoutes',
  ],
  groupStatus: ['groupStatusCodes', 'statusClass'],
  labels: ['customLabels', 'labelOverrides', 'additionalLabels'],
  endpointLabel: ['routeLabel', 'pathLabel'],
  sizes: ['requestSize', 'responseSize'],
  responseStart: ['ttfb', 'timeToFirstByte'],
  initialize: ['initializeMetrics', 'registeredRoutesOnly'],
}

/** Returns the plugin's options with their defaults. Throws an InvalidOptionError. */
export function resolveOptions(options: HttpMetricsOptions): ResolvedOptions {
  checkOptionNames('http-metrics', options, NAMES)
  const {
    buckets = definitions.duration.buckets,
    ignore = [],
    groupStatus = false,
    labels = {},
    endpointLabel = 'endpoint',
    sizes = false,
    responseStart = false,
    initialize = true,
  } = options

  checkBuckets(buckets)
  checkList(ignore, 'ignore')
  if (!ignore.every((pattern) => typeof pattern === 'string' || pattern instanceof RegExp)) {
    throw new InvalidOptionError('ignore', 'route patterns and regular expressions', ignore)
  }
  checkEndpointLabel(endpointLabel)
  checkCustomLabels(labels, endpointLabel)

  const initialStatuses = resolveInitialize(initialize, groupStatus, Object.keys(labels).length > 0)
  return { buckets, ignore, groupStatus, labels, endpointLabel, sizes, responseStart, initialStatuses }
}

/**
 * Returns the options of a route with their defaults; `undefined` for a route that is left out. `url` is the route's
 * pattern, `undefined` for requests that match no route. Throws an InvalidOptionError.
 */
export function resolveRouteOptions(url: string | undefined, options: unknown): ResolvedRouteOptions | undefined {
  if (options === false) return undefined
  const { endpoint = url ?? UNMATCHED, buckets, stream = false } = (options ?? {}) as RouteMetricsOptions
  if (typeof endpoint !== 'string' || (endpoint === '' && endpoint !== url)) {
    throw new InvalidOptionError(`config.metrics.endpoint of ${url}`, 'a string that is not empty', endpoint)
  }
  if (buckets !== undefined) checkBuckets(buckets, `config.metrics.buckets of ${url}`)
  if (typeof stream !== 'boolean') throw new InvalidOptionError(`config.metrics.stream of ${url}`, 'a boolean', stream)
  return { endpoint, buckets, isStream: stream }
}

function resolveInitialize(
  initialize: unknown,
  groupStatus: boolean,
  hasCustomLabels: boolean,
): readonly number[] | undefined {
  if (initialize === false) return undefined
  // Each combination of their values would have a histogram, which nobody has asked for.
  if (initialize === true && hasCustomLabels) return []
  if (initialize === true) return groupStatus ? INITIAL_CLASSES : INITIAL_STATUSES
  if (Array.isArray(initialize) && initialize.every(isStatus)) return initialize
  throw new InvalidOptionError('initialize', 'a boolean or an array of statuses', initialize)
}

function checkEndpointLabel(endpointLabel: string): void {
  if (['method', 'status', 'phase'].includes(endpointLabel)) {
    throw new InvalidOptionError('endpointLabel', 'a name other than method, status and phase', endpointLabel)
  }
}

function checkCustomLabels(labels: Record<string, CustomLabel>, endpointLabel: string): void {
  for (const [name, label] of Object.entries(labels)) {
    if ([endpointLabel, 'method', 'status'].includes(name)) {
      throw new InvalidOptionError('labels', `names other than ${endpointLabel}, method and status`, name)
    }
    if (!Array.isArray(label?.values) || typeof label.value !== 'function') {
      throw new InvalidOptionError(`labels.${name}`, '{ values: string[], value: function }', label)
    }
  }
}

function isStatus(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 100 && (value as number) <= 999
}
