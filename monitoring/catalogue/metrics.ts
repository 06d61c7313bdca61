/**
 * The metric catalogue: everything that an application with all plugins exposes, made from the packages' own
 * definitions. What a definition leaves to registration (the labels of the HTTP metrics, the values that a label can
 * have) is said here, once, and `test/catalogue.test.ts` compares it with a real exposition.
 *
 * @module
 */
import { cacheMetricDefinitions, REASONS } from '@data20/cache-metrics/metrics'
import { dbMetricDefinitions } from '@data20/db-metrics/metrics'
import {
  httpMetricDefinitions,
  OTHER_METHOD,
  PARSER_ERROR_CODES,
  PHASES,
  UNMATCHED,
} from '@data20/http-metrics/metrics'
import { coreMetrics, SCRAPE_STATUSES } from '@data20/metrics-core/metrics'
import { OUTCOMES, queueMetricDefinitions, STATES } from '@data20/queue-metrics/metrics'
import { LOAD_WINDOWS, systemMetricDefinitions } from '@data20/system-metrics/metrics'
import { REJECTIONS, STATUSES, toolMetricDefinitions } from '@data20/tool-metrics/metrics'
import { nodejsMetrics } from './nodejs.ts'

export type MetricType = 'counter' | 'gauge' | 'histogram'

/** One metric as a query meets it. */
export interface Metric {
  name: string
  type: MetricType
  help: string
  /** In alphabetical order, without those of the target (`job`, `instance`). */
  labels: readonly string[]
  /** The values of labels that have a finite set of them. */
  values: Readonly<Record<string, readonly string[]>>
  /** Upper bounds without +Inf, of a histogram. */
  buckets?: readonly number[]
  /** The package that exposes it. */
  package: string
  /** Read from a broker and the same in every process: its sum over processes means nothing. */
  isShared?: boolean
  /** When it is there, where that is not always. */
  condition?: string
}

/** What the packages' definitions have in common. */
interface Definition {
  name: string
  help: string
  labelNames?: readonly string[]
  buckets?: readonly number[]
}

/** What a definition does not say. */
interface Addition {
  labels?: readonly string[]
  values?: Readonly<Record<string, readonly string[]>>
  isShared?: boolean
  condition?: string
}

/** The labels that Prometheus adds to every series of a target. */
export const TARGET_LABELS: readonly string[] = ['instance', 'job']

/** A status is a number of three digits, or its class with the option `groupStatus`. */
const HTTP_STATUSES = [
  ...Array.from({ length: 500 }, (_, index) => `${100 + index}`),
  '1xx',
  '2xx',
  '3xx',
  '4xx',
  '5xx',
]

/** The methods that Fastify routes unless an application adds others. */
const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE', OTHER_METHOD]

/** The operations that db-metrics tells apart. */
const OPERATIONS = [
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'COPY', 'BEGIN', 'COMMIT', 'ROLLBACK', 'DDL', 'OTHER'],
]

const ROUTE: Addition = { labels: ['endpoint', 'method'], values: { method: METHODS } }
const ANSWER: Addition = {
  labels: ['endpoint', 'method', 'status'],
  values: { method: METHODS, status: HTTP_STATUSES },
}
const SIZES: Addition = { ...ROUTE, condition: 'with the option `sizes`' }
const QUERY: Addition = { values: { operation: OPERATIONS } }
const BROKER: Addition = { isShared: true }
const CONTAINER: Addition = { condition: 'where a cgroup v2 limit exists' }

/** Every metric of the packages, in the order of the packages. */
export const catalogue: readonly Metric[] = [
  ...metricsOf('http-metrics', httpMetricDefinitions, {
    requests: ANSWER,
    duration: ROUTE,
    errors: ANSWER,
    inFlight: ROUTE,
    aborted: { labels: ['endpoint', 'method', 'phase'], values: { method: METHODS, phase: PHASES } },
    parserErrors: { values: { code: PARSER_ERROR_CODES } },
    requestSize: SIZES,
    responseSize: SIZES,
  }),
  ...metricsOf('tool-metrics', toolMetricDefinitions, {
    executions: { values: { status: STATUSES } },
    rejections: { values: { reason: REJECTIONS } },
  }),
  ...metricsOf('db-metrics', dbMetricDefinitions, { queries: QUERY, duration: QUERY, slow: QUERY, errors: QUERY }),
  ...metricsOf('queue-metrics', queueMetricDefinitions, {
    tasks: { values: { status: OUTCOMES } },
    length: BROKER,
    jobs: { ...BROKER, values: { state: STATES } },
    oldestWaiting: BROKER,
    workers: BROKER,
    paused: BROKER,
    up: BROKER,
  }),
  ...metricsOf('cache-metrics', cacheMetricDefinitions, { evictions: { values: { reason: REASONS } } }),
  ...metricsOf('system-metrics', systemMetricDefinitions, {
    loadAverage: { values: { window: LOAD_WINDOWS } },
    containerMemoryLimit: CONTAINER,
    containerMemoryUsed: CONTAINER,
    containerThrottled: CONTAINER,
  }),
  ...metricsOf('metrics-core', coreMetrics, {
    scrapes: { values: { status: SCRAPE_STATUSES.map(String) } },
  }),
  ...nodejsMetrics,
]

/** What the label `endpoint` says of requests that matched no route, for the documents. */
export { UNMATCHED }

function metricsOf<Key extends string>(
  packageName: string,
  definitions: Readonly<Record<Key, Definition>>,
  additions: { readonly [key in Key]?: Addition },
): Metric[] {
  return (Object.keys(definitions) as Key[]).map((key) => {
    const { name, help, labelNames = [], buckets } = definitions[key]
    const { labels = labelNames, values = {}, ...rest } = additions[key] ?? {}
    const type = buckets ? 'histogram' : name.endsWith('_total') ? 'counter' : 'gauge'
    return {
      name,
      type,
      help,
      labels: [...labels].sort(),
      values,
      ...(buckets ? { buckets } : {}),
      package: packageName,
      ...rest,
    }
  })
}
