/**
 * The series of each route, bound once: what a request needs is found by its route's context and its method.
 *
 * @module
 */
import {
  type CounterSeries,
  DEFAULT_BUCKETS,
  type GaugeSeries,
  type HistogramSeries,
  type Metrics,
} from '@data20/metrics-core'
import { checkBuckets, checkList, InvalidOptionError } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { RouteContext } from './internals.ts'
import { definitions, OTHER_METHOD, OTHER_VALUE, PHASES, UNMATCHED } from './metrics.ts'
import type { HttpMetricsOptions, RouteMetricsOptions } from './options.ts'

interface StatusSeries {
  readonly requests: CounterSeries
  /** From status 400. */
  readonly errors: CounterSeries | undefined
}

/** What is counted at the end of a request. Classes, so that V8 sees one shape on the path of every request. */
export class RequestSeries {
  readonly duration: HistogramSeries
  /** By status, bound when it is first seen. */
  readonly #ofStatus: Array<StatusSeries | undefined> = []
  readonly #bind: (status: number) => StatusSeries

  constructor(duration: HistogramSeries, bind: (status: number) => StatusSeries) {
    this.duration = duration
    this.#bind = bind
  }

  /** Counts a request, and an error from status 400. */
  count(status: number): void {
    const { requests, errors } = this.#ofStatus[status] ?? this.prepare(status)
    requests.inc()
    if (errors !== undefined) errors.inc()
  }

  /** Makes the series of a status. */
  prepare(status: number): StatusSeries {
    const series = this.#bind(status)
    this.#ofStatus[status] = series
    return series
  }
}

/** The series of one route and method. */
export class RouteSeries {
  /** Without custom labels. */
  readonly requests: RequestSeries
  readonly inFlight: GaugeSeries
  readonly aborted: Record<(typeof PHASES)[number], CounterSeries>
  readonly requestSize: HistogramSeries | undefined
  readonly responseSize: HistogramSeries | undefined
  /** The series with the custom labels of a request. */
  readonly withLabels: (request: FastifyRequest | undefined) => RequestSeries

  constructor({ requests, inFlight, aborted, requestSize, responseSize, withLabels }: RouteSeries) {
    this.requests = requests
    this.inFlight = inFlight
    this.aborted = aborted
    this.requestSize = requestSize
    this.responseSize = responseSize
    this.withLabels = withLabels
  }
}

export interface Routes {
  /** Notes a route as it is registered; throws where its options cannot work. */
  add(route: RouteOptions): void
  /** Makes the series of the routes noted. */
  initialize(): void
  /** The series of a route; `null` when it is left out. */
  find(context: RouteContext, method: string): RouteSeries | null
  /** The series of what matched no route; `null` when it is left out. */
  unmatched(method: string | undefined): RouteSeries | null
}

/** The statuses initialized by default: one of each class that a handler sends by itself. */
const INITIAL_STATUSES = [200, 400, 500]
/** With `groupStatus`, every class. */
const INITIAL_CLASSES = [100, 200, 300, 400, 500]

export function createRoutes(metrics: Metrics, fastify: FastifyInstance, options: HttpMetricsOptions): Routes {
  const {
    buckets = DEFAULT_BUCKETS,
    ignore = [],
    groupStatus = false,
    labels: customLabels = {},
    endpointLabel = 'endpoint',
    sizes = false,
    initialize = true,
  } = options
  const customNames = Object.keys(customLabels)
  checkList(ignore, 'ignore')
  if (!ignore.every((pattern) => typeof pattern === 'string' || pattern instanceof RegExp)) {
    throw new InvalidOptionError('ignore', 'route patterns and regular expressions', ignore)
  }
  if (typeof initialize !== 'boolean' && !(Array.isArray(initialize) && initialize.every(isStatus))) {
    throw new InvalidOptionError('initialize', 'a boolean or a list of statuses', initialize)
  }
  for (const name of customNames) {
    const { values, value } = customLabels[name]!
    if (!Array.isArray(values) || typeof value !== 'function') {
      throw new InvalidOptionError(`labels.${name}`, '{ values: string[], value: function }', customLabels[name])
    }
  }

  const base = [endpointLabel, 'method'] as const
  const requests = metrics.counter({
    ...definitions.requests,
    labelNames: [...base, 'status', ...customNames],
  })
  const errors = metrics.counter({ ...definitions.errors, labelNames: [...base, 'status', ...customNames] })
  const duration = metrics.histogram({
    ...definitions.duration,
    labelNames: [...base, ...customNames],
    buckets,
  })
  const inFlight = metrics.gauge({ ...definitions.inFlight, labelNames: base })
  const aborted = metrics.counter({ ...definitions.aborted, labelNames: [...base, 'phase'] })
  const requestSize = sizes ? metrics.histogram({ ...definitions.requestSize, labelNames: base }) : undefined
  const responseSize = sizes ? metrics.histogram({ ...definitions.responseSize, labelNames: base }) : undefined

  const registered: RouteOptions[] = []
  /** On the context of a route with one method, its series: this is on the path of every request, and a map would hash. */
  const kSeries: unique symbol = Symbol('data20.http.series')
  const ofContextAndMethod = new Map<RouteContext, Map<string, RouteSeries | null>>()
  const ofUnmatched = new Map<string, RouteSeries | null>()
  const methods = new Set<string>(fastify.supportedMethods)

  return {
    add(route) {
      checkRouteOptions(route.url, route.config?.metrics)
      registered.push(route)
    },
    initialize: initializeRoutes,
    find,
    unmatched,
  }

  function initializeRoutes(): void {
    // Methods may have been added since.
    for (const method of fastify.supportedMethods) methods.add(method)
    if (initialize === false) return
    const statuses = initialize === true ? (groupStatus ? INITIAL_CLASSES : INITIAL_STATUSES) : initialize
    for (const { method, url, config } of registered) {
      for (const one of [method].flat()) {
        if (one === 'HEAD' || one === 'OPTIONS') continue
        const route = createRoute({ config: { ...config, url } as RouteContext['config'] & object }, one)
        if (customNames.length === 0) for (const status of statuses) route?.requests.prepare(status)
      }
    }
  }

  function find(context: RouteContext, method: string): RouteSeries | null {
    const marked = context as RouteContext & { [kSeries]?: RouteSeries | null }
    const known = marked[kSeries]
    if (known !== undefined) return known
    if (typeof context.config?.method !== 'string') return findByMethod(context, method)
    const made = createRoute(context, method)
    marked[kSeries] = made
    return made
  }

  /** A route of several methods, and what matched none. */
  function findByMethod(context: RouteContext, method: string): RouteSeries | null {
    if (context.config?.url === undefined) return unmatched(method)
    const ofMethod = getOrMake(ofContextAndMethod, context, () => new Map<string, RouteSeries | null>())
    return getOrMake(ofMethod, method, () => createRoute(context, method))
  }

  function unmatched(method = ''): RouteSeries | null {
    const label = methods.has(method) ? method : OTHER_METHOD
    return getOrMake(ofUnmatched, label, () => createRoute({}, label))
  }

  function createRoute(context: RouteContext, method: string): RouteSeries | null {
    try {
      checkRouteOptions(context.config?.url, context.config?.metrics)
      return bindRoute(context, method)
    } catch (error) {
      // A route from before the plugin, whose options nobody has checked.
      metrics.callbackError('http-metrics', error)
      return bindRoute({ config: { url: context.config?.url } as RouteContext['config'] & object }, method)
    }
  }

  function bindRoute({ config }: RouteContext, method: string): RouteSeries | null {
    if (config?.metrics === false) return null
    const { endpoint = config?.url ?? UNMATCHED, buckets: ownBuckets } = (config?.metrics ?? {}) as RouteMetricsOptions
    if (isIgnored(endpoint, ignore)) return null
    const labels = { [endpointLabel]: endpoint, method }
    const ofCustomValues = new Map<string, RequestSeries>()

    return new RouteSeries({
      requests: customNames.length === 0 ? createRequestSeries(labels, ownBuckets) : withValues([]),
      inFlight: inFlight.reserve(labels),
      aborted: Object.fromEntries(
        PHASES.map((phase) => [phase, aborted.reserve({ ...labels, phase })]),
      ) as RouteSeries['aborted'],
      requestSize: requestSize?.reserve(labels),
      responseSize: responseSize?.reserve(labels),
      withLabels: (request) => withValues(customNames.map((name) => customValue(name, request))),
    })

    function withValues(values: string[]): RequestSeries {
      return getOrMake(ofCustomValues, JSON.stringify(values), () => {
        const custom = Object.fromEntries(customNames.map((name, index) => [name, values[index] ?? OTHER_VALUE]))
        return createRequestSeries({ ...labels, ...custom }, ownBuckets)
      })
    }
  }

  function customValue(name: string, request: FastifyRequest | undefined): string {
    const { values, value } = customLabels[name]!
    if (request === undefined) return OTHER_VALUE
    try {
      const found = value(request)
      return found !== undefined && values.includes(found) ? found : OTHER_VALUE
    } catch (error) {
      metrics.callbackError('http-metrics', error)
      return OTHER_VALUE
    }
  }

  function createRequestSeries(
    labels: Record<string, string>,
    ownBuckets: readonly number[] | undefined,
  ): RequestSeries {
    return new RequestSeries(duration.reserve(labels, ownBuckets), (status) => {
      const withStatus = { ...labels, status: groupStatus ? `${Math.floor(status / 100)}xx` : status }
      return {
        requests: requests.reserve(withStatus),
        errors: status >= 400 ? errors.reserve(withStatus) : undefined,
      }
    })
  }
}

function isStatus(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 100 && (value as number) <= 999
}

function checkRouteOptions(url: string | undefined, options: unknown): void {
  const { endpoint, buckets } = (options || {}) as RouteMetricsOptions
  if (endpoint !== undefined && (typeof endpoint !== 'string' || endpoint === '')) {
    throw new InvalidOptionError(`config.metrics.endpoint of ${url}`, 'a text', endpoint)
  }
  if (buckets !== undefined) checkBuckets(buckets, `config.metrics.buckets of ${url}`)
}

function isIgnored(endpoint: string, ignore: ReadonlyArray<string | RegExp>): boolean {
  return ignore.some((pattern) => {
    // test() of a global pattern would go on where it stopped.
    if (pattern instanceof RegExp) return endpoint.search(pattern) !== -1
    return pattern.endsWith('*') ? endpoint.startsWith(pattern.slice(0, -1)) : endpoint === pattern
  })
}

function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
