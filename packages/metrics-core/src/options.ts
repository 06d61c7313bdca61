/**
 * The options of metrics-core: what each means, its default, and its check.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { preHandlerAsyncHookHandler, preHandlerHookHandler } from 'fastify'
import { Registry } from 'prom-client'
import { checkTimeout } from './checks.ts'
import { type LabelValue, MIN_LABEL_LENGTH } from './encoding/labels.ts'
import { InvalidOptionError } from './errors.ts'
import { checkOptionNames, type OptionNames } from './option-names.ts'

/**
 * The part of a Prometheus client's registry that is used here: prom-client 15 and `@prometheus-io/client` both have
 * it. The methods take and return the client's own metric classes.
 */
export interface RegistryLike {
  // biome-ignore-start lint/suspicious/noExplicitAny: the two clients' metric classes share no type.
  getMetricsAsArray(): any[]
  getSingleMetric(name: string): any
  registerMetric(metric: any): void
  // biome-ignore-end lint/suspicious/noExplicitAny: the two clients' metric classes share no type.
  removeSingleMetric(name: string): void
  metrics(): Promise<string>
}

/** How `GET /metrics` is protected: a bearer token or basic credentials, compared in constant time. */
export type Auth = { bearer: string } | { username: string; password: string }

type PreHandler = preHandlerHookHandler | preHandlerAsyncHookHandler

export interface MetricsCoreOptions {
  /**
   * The registry that holds every metric of this application: one of prom-client 15 or of `@prometheus-io/client`.
   * The global registry is used only if it is passed here.
   * @default a new prom-client Registry for this Fastify instance
   */
  registry?: RegistryLike

  /**
   * Path of the exposition. `false` adds no route; `fastify.metrics.expose()` still works.
   * @default '/metrics'
   */
  path?: string | false

  /**
   * Adds metrics of Node.js and of the process, under prom-client's names.
   * @default true
   */
  defaultMetrics?: boolean

  /**
   * The cardinality limit of each metric: series it may have beyond those known beforehand (registered routes, tools).
   * Label sets beyond the limit share one series whose labels are all `__overflow__`.
   * @default 1000
   */
  maxSeries?: number

  /**
   * Longer label values are cut to this many UTF-16 units: their beginning, an ellipsis, and 32 digits of their
   * SHA-256, which keep them distinct. `metrics_labels_truncated_total` counts them. At least 64.
   * @default 1024
   */
  maxLabelLength?: number

  /**
   * Labels on every series of this application. Leave labels of the scrape target (`instance`, `job`) to Prometheus.
   * @default {}
   */
  labels?: Record<string, LabelValue>

  /** Credentials that a scraper has to send. Without this option, everybody may scrape. */
  auth?: Auth

  /** Fastify `preHandler` hooks of the route; they run after `auth`. */
  preHandler?: PreHandler | PreHandler[]

  /** Serves the exposition on a port of its own instead of a route of the application. `host` defaults to 127.0.0.1. */
  listen?: { port: number; host?: string }

  /**
   * Milliseconds that a collector may take before its last values are used. A scraper waits no longer than nine tenths
   * of the timeout that it announces in `X-Prometheus-Scrape-Timeout-Seconds`; the collector goes on.
   * @default 1000
   */
  collectorTimeoutMs?: number

  /**
   * Number of scrapes whose response is being made at the same time; more get status 503. Concurrent scrapes share one
   * collection in any case. A response that a slow client has not read yet does not count: otherwise a few stalled
   * clients would shut out Prometheus.
   * @default 40 (node_exporter's)
   */
  maxConcurrentScrapes?: number

  /**
   * Bytes of responses that scrapers have not read yet. Beyond it the connections that have waited longest are ended,
   * so that stalled scrapers neither fill the memory nor shut out others. One response is sent whatever its size.
   * @default 67108864 (64 MiB)
   */
  maxPendingBytes?: number

  /**
   * With `node:cluster`, set in the primary and in its workers (one application in each): the primary exposes all
   * processes, itself included, as one. Counters and histograms are summed, gauges combined by their `aggregator`.
   * Counts of a worker that has ended stay in the sums. A worker's own exposition is of that worker alone.
   * @default false
   */
  cluster?: boolean

  /**
   * The labels `name` and `version` of `app_info`.
   * @default name and version from package.json in the working directory
   */
  app?: { name: string; version: string }
}

/** Options with every default applied. */
export interface ResolvedOptions {
  registry: RegistryLike
  path: string | false
  defaultMetrics: boolean
  maxSeries: number
  maxLabelLength: number
  labels: Record<string, LabelValue>
  auth: Auth | undefined
  preHandler: PreHandler | PreHandler[] | undefined
  listen: { port: number; host: string } | undefined
  collectorTimeoutMs: number
  maxConcurrentScrapes: number
  maxPendingBytes: number
  cluster: boolean
  app: { name: string; version: string }
}

const NAMES: OptionNames<MetricsCoreOptions> = {
  registry: ['register', 'registers'],
  path: ['endpoint', 'url', 'route', 'metricsPath', 'prefix'],
  defaultMetrics: ['collectDefaultMetrics', 'enableDefaultMetrics'],
  maxSeries: ['maxLabelSets', 'cardinalityLimit', 'limit'],
  maxLabelLength: ['maxLabelSize', 'maxLabelValueLength'],
  labels: ['defaultLabels', 'customLabels', 'constantLabels', 'globalLabels'],
  auth: ['authentication', 'authorization', 'authenticate', 'basicAuth', 'bearer', 'token', 'credentials', 'password'],
  preHandler: ['preHandlers', 'onRequest', 'hooks', 'guard'],
  listen: ['port', 'server', 'host'],
  collectorTimeoutMs: ['timeout', 'timeoutMs', 'collectorTimeout'],
  maxConcurrentScrapes: ['maxRequestsInFlight'],
  maxPendingBytes: [],
  cluster: ['aggregate'],
  app: ['name', 'version', 'appName', 'appVersion', 'service'],
}

/**
 * Applies the defaults and checks the values. Throws an {@link InvalidOptionError}, or an `UnknownOptionError` for a
 * name that is none.
 */
export function resolveOptions(options: MetricsCoreOptions): ResolvedOptions {
  checkOptionNames('metrics-core', options, NAMES)
  const {
    registry = new Registry(),
    path: route = '/metrics',
    defaultMetrics = true,
    maxSeries = 1000,
    maxLabelLength = 1024,
    labels = {},
    auth,
    preHandler,
    listen,
    collectorTimeoutMs = 1000,
    maxConcurrentScrapes = 40,
    maxPendingBytes = 64 * 1024 * 1024,
    cluster = false,
    app = readPackage(),
  } = options

  if (route !== false && !`${route}`.startsWith('/')) {
    throw new InvalidOptionError('path', 'a path that begins with /, or false', route)
  }
  checkTypes({ registry, defaultMetrics, cluster, labels, listen, app, preHandler })
  if (!(maxSeries >= 0)) throw new InvalidOptionError('maxSeries', 'a number ≥ 0', maxSeries)
  if (!(maxLabelLength >= MIN_LABEL_LENGTH)) {
    throw new InvalidOptionError('maxLabelLength', `a number ≥ ${MIN_LABEL_LENGTH}`, maxLabelLength)
  }
  checkTimeout(collectorTimeoutMs, 'collectorTimeoutMs')
  if (!(maxConcurrentScrapes >= 1)) {
    throw new InvalidOptionError('maxConcurrentScrapes', 'a number ≥ 1', maxConcurrentScrapes)
  }

  if (!(maxPendingBytes >= 0)) throw new InvalidOptionError('maxPendingBytes', 'a number ≥ 0', maxPendingBytes)

  return {
    registry,
    path: route,
    defaultMetrics,
    maxSeries,
    maxLabelLength,
    labels,
    auth,
    preHandler,
    listen: listen && withDefaultHost(listen),
    collectorTimeoutMs,
    maxConcurrentScrapes,
    maxPendingBytes,
    cluster,
    app,
  }
}

/** Checks what TypeScript would refuse: JavaScript and configuration files do not. */
function checkTypes({
  registry,
  defaultMetrics,
  cluster,
  labels,
  listen,
  app,
  preHandler,
}: Record<string, unknown>): void {
  const isRegistry = ['getMetricsAsArray', 'getSingleMetric', 'registerMetric', 'removeSingleMetric', 'metrics'].every(
    (method) => typeof (registry as Record<string, unknown> | null)?.[method] === 'function',
  )
  if (!isRegistry) throw new InvalidOptionError('registry', 'a Registry of a Prometheus client', registry)
  for (const [option, value] of Object.entries({ defaultMetrics, cluster })) {
    if (typeof value !== 'boolean') throw new InvalidOptionError(option, 'true or false', value)
  }
  if (!isObject(labels) || !Object.values(labels).every(isLabelValue)) {
    throw new InvalidOptionError('labels', 'an object of label values', labels)
  }
  if (listen !== undefined) checkListen(listen)
  if (!isObject(app)) throw new InvalidOptionError('app', 'an object with name and version', app)
  checkOptionNames('app', app, { name: [], version: [] })
  if (![preHandler ?? []].flat().every((hook) => typeof hook === 'function')) {
    throw new InvalidOptionError('preHandler', 'a function or an array of functions', preHandler)
  }
}

function checkListen(listen: unknown): void {
  const { port } = (isObject(listen) ? listen : {}) as { port?: unknown }
  // 0 is any free port, which must be asked for.
  if (!(Number.isInteger(port) && (port as number) >= 0 && (port as number) < 65_536)) {
    throw new InvalidOptionError('listen', '{ port, host } with a port from 0 to 65535', listen)
  }
  checkOptionNames('listen', listen as object, { port: [], host: ['hostname', 'address'] })
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isLabelValue(value: unknown): boolean {
  return value === null || !['object', 'function', 'symbol'].includes(typeof value)
}

function withDefaultHost({ port, host = '127.0.0.1' }: { port: number; host?: string }): {
  port: number
  host: string
} {
  return { port, host }
}

function readPackage(): { name: string; version: string } {
  try {
    const { name = 'unknown', version = 'unknown' } = JSON.parse(
      readFileSync(path.join(process.cwd(), 'package.json'), 'utf8'),
    )
    return { name, version }
  } catch {
    return { name: 'unknown', version: 'unknown' }
  }
}
