/**
 * Finds the series of a route by its context and the request's method. They are bound when they are first needed.
 *
 * @module
 */
import { InvalidOptionError } from '@data20/metrics-core/plugin'
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { Instruments, RouteSeries } from './instruments.ts'
import { isWithin, type RouteContext } from './internals.ts'
import { OTHER_METHOD } from './metrics.ts'
import { type ResolvedOptions, resolveRouteOptions } from './options.ts'

/**
 * The most series that exist before their first request: about 900 routes with the defaults, and 2 MB of exposition.
 * With more, a route has its series from its first request.
 */
const MOST_INITIAL_SERIES = 20_000

/** Stands for the series of a route that is not measured: `ignore` matches it, or its `config.metrics` is `false`. */
export const LEFT_OUT: unique symbol = Symbol('data20.http.leftOut')

/** Stands for the series of a route outside of the part of the application in which the plugin is registered. */
export const OUTSIDE: unique symbol = Symbol('data20.http.outside')

/** The series of a route, or that it has none. */
export type MeasuredRoute = RouteSeries | typeof LEFT_OUT

export interface Routes {
  /** Adds a route at its registration. Throws an InvalidOptionError for the route's options. */
  add(route: RouteOptions): void
  /** Makes the series of the routes added. */
  initialize(): void
  /** Returns the series of a request's route. */
  find(context: RouteContext, method: string): MeasuredRoute | typeof OUTSIDE
  /** Returns the series of requests that match no route. */
  unmatched(method: string | undefined): MeasuredRoute
}

export interface RouteListeners {
  /** Receives the error of a route that was registered before the plugin with invalid options. */
  onError(error: unknown): void
  /** Receives a route outside of the part of the application in which the plugin is registered. */
  onOutside(route: string): void
  /** Receives the number of initial series when they are too many, so that a route has them from its first request. */
  onTooMany(series: number): void
}

export function createRoutes(
  fastify: FastifyInstance,
  instruments: Instruments,
  { ignore, labels, initialStatuses, buckets: defaultBuckets }: ResolvedOptions,
  { onError, onOutside, onTooMany }: RouteListeners,
): Routes {
  const registered: RouteOptions[] = []
  let isTooMany = false
  /** By method and endpoint: routes with the same of both share a histogram. */
  const bucketsByEndpoint = new Map<string, readonly number[]>()
  /** Holds the series on the context of a route with one method: on the hot path a Map would have to hash. */
  const kRoute: unique symbol = Symbol('data20.http.route')
  const byContextAndMethod = new Map<RouteContext, Map<string, MeasuredRoute | typeof OUTSIDE>>()
  const byUnmatchedMethod = new Map<string, MeasuredRoute>()
  const methods = new Set<string>(fastify.supportedMethods)

  return { add, initialize, find, unmatched }

  function add(route: RouteOptions): void {
    checkBuckets(route)
    registered.push(route)
  }

  /** Throws for buckets that differ from those of another route with the same method and endpoint. */
  function checkBuckets({ url, method, config }: RouteOptions): void {
    const options = resolveRouteOptions(url, config?.metrics)
    if (options === undefined || isIgnored(options.endpoint, ignore)) return
    const { endpoint, buckets = defaultBuckets } = options
    for (const one of [method].flat()) {
      const known = getOrMake(bucketsByEndpoint, `${one} ${endpoint}`, () => buckets)
      if (known.join() === buckets.join()) continue
      const expected = `the same for all routes of ${one} ${endpoint}: ${known.join(', ')}`
      throw new InvalidOptionError(`config.metrics.buckets of ${url}`, expected, buckets.join(', '))
    }
  }

  function initialize(): void {
    // The application may have added methods since.
    for (const method of fastify.supportedMethods) methods.add(method)
    const known = registered.flatMap(({ method, url, config }) =>
      [method]
        .flat()
        .filter(isInitialized)
        .map((one) => ({ method: one, url, options: config?.metrics })),
    )
    const series = known.length * instruments.seriesOf(initialStatuses ?? [])
    isTooMany = series > MOST_INITIAL_SERIES
    if (isTooMany) onTooMany(series)
    else for (const { method, url, options } of known) bindRoute(url, method, options)
  }

  function find(context: RouteContext, method: string): MeasuredRoute | typeof OUTSIDE {
    const marked = context as RouteContext & { [kRoute]?: MeasuredRoute | typeof OUTSIDE }
    const known = marked[kRoute]
    if (known !== undefined) return known
    if (typeof context.config?.method !== 'string') return findByMethod(context, method)
    const bound = bindWithin(context, context.config.url, method)
    marked[kRoute] = bound
    return bound
  }

  /** Finds the series of a route with several methods, and of a request that matches no route. */
  function findByMethod(context: RouteContext, method: string): MeasuredRoute | typeof OUTSIDE {
    const url = context.config?.url
    if (url === undefined) return unmatched(method)
    const byMethod = getOrMake(byContextAndMethod, context, () => new Map<string, MeasuredRoute | typeof OUTSIDE>())
    return getOrMake(byMethod, method, () => bindWithin(context, url, method))
  }

  function bindWithin(context: RouteContext, url: string | undefined, method: string): MeasuredRoute | typeof OUTSIDE {
    if (isWithin(fastify, context)) return bindRoute(url, method, context.config?.metrics)
    onOutside(`${method} ${url}`)
    return OUTSIDE
  }

  function unmatched(method = ''): MeasuredRoute {
    const label = methods.has(method) ? method : OTHER_METHOD
    return getOrMake(byUnmatchedMethod, label, () => bindRoute(undefined, label, undefined))
  }

  function bindRoute(url: string | undefined, method: string, options: unknown): MeasuredRoute {
    try {
      return bindResolved(url, method, resolveRouteOptions(url, options))
    } catch (error) {
      // A route from before the plugin: `add` has not checked its options.
      onError(error)
      return bindResolved(url, method, resolveRouteOptions(url, undefined))
    }
  }

  function bindResolved(
    url: string | undefined,
    method: string,
    options: ReturnType<typeof resolveRouteOptions>,
  ): MeasuredRoute {
    if (options === undefined || isIgnored(options.endpoint, ignore)) return LEFT_OUT
    const route = instruments.bindRoute(method, options)
    if (url !== undefined && isInitialized(method)) route.prepare(initialStatuses ?? [])
    return route
  }

  function isInitialized(method: string): boolean {
    if (initialStatuses === undefined) return false
    // Every combination of custom labels may be too many for one route.
    if (isTooMany && Object.keys(labels).length > 0) return false
    return method !== 'HEAD' && method !== 'OPTIONS'
  }
}

function isIgnored(endpoint: string, ignore: ReadonlyArray<string | RegExp>): boolean {
  return ignore.some((pattern) => {
    // A global pattern's test() would continue from its last match.
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
