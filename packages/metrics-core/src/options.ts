import type { preHandlerAsyncHookHandler, preHandlerHookHandler } from 'fastify'
import type { LabelValue } from './instruments/labels.ts'

/**
 * The part of a Prometheus client's registry that is used here: prom-client 15 and `@prometheus-io/client` both have it.
 * The methods take and return the client's own metric classes.
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

/** How `GET /metrics` is protected: a bearer token, or basic credentials, compared in constant time. */
export type Auth = { bearer: string } | { username: string; password: string }

export interface MetricsCoreOptions {
  /**
   * The registry that holds every metric of this application: one of prom-client 15 or of `@prometheus-io/client`.
   * Never the global one unless it is handed in.
   * @default a new prom-client Registry of this Fastify instance
   */
  registry?: RegistryLike

  /**
   * Where the exposition is served; `false` for nowhere (`fastify.metrics.expose()` still makes it).
   * @default '/metrics'
   */
  path?: string | false

  /**
   * Metrics of Node.js and of the process, under prom-client's names.
   * @default true
   */
  defaultMetrics?: boolean

  /**
   * Series that each metric may have beyond those known beforehand (registered routes, tools). What exceeds it is
   * counted in one series whose labels are all `__overflow__`.
   * @default 1000
   */
  maxSeries?: number

  /**
   * Labels on every series of this application. Labels of the scrape target (`instance`, `job`) are Prometheus's to set.
   * @default {}
   */
  labels?: Record<string, LabelValue>

  /** Who may scrape; everybody when unset. */
  auth?: Auth

  /** Fastify's own kind of check on the route, run after `auth`. */
  preHandler?:
    | preHandlerHookHandler
    | preHandlerAsyncHookHandler
    | Array<preHandlerHookHandler | preHandlerAsyncHookHandler>

  /** Serves the exposition on a port of its own instead of a route of the application. `host` is 127.0.0.1 when unset. */
  listen?: { port: number; host?: string }

  /**
   * Milliseconds that a collector may take before its last values are used. Never more than nine tenths of the timeout
   * that the scraper announces in `X-Prometheus-Scrape-Timeout-Seconds`.
   * @default 1000
   */
  collectorTimeoutMs?: number

  /**
   * Scrapes whose answer is being made at the same time; further ones get 503. Concurrent scrapes share one collection in any
   * case. An answer that a slow reader has not taken yet is not counted: a few stalled readers would shut out Prometheus.
   * @default 40 (node_exporter's)
   */
  maxConcurrentScrapes?: number

  /**
   * With `node:cluster`, set in the primary and in its workers (one application in each): the primary exposes all
   * processes, itself included, as one. Counters and histograms are summed, gauges combined by their `aggregator`.
   * What a worker that has ended counted stays in the sums. A worker's own exposition is of that worker alone.
   * @default false
   */
  cluster?: boolean

  /**
   * What `app_info` says.
   * @default name and version from package.json in the working directory
   */
  app?: { name: string; version: string }
}
