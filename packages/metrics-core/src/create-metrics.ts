/**
 * What is at `fastify.metrics`: one registry with its instruments, its collectors and its exposition, without any HTTP.
 *
 * @module
 */
import type { FastifyBaseLogger } from 'fastify'
import { joinCluster } from './cluster/member.ts'
import type { Counter } from './instruments/counter.ts'
import type { ClientMetric } from './instruments/family.ts'
import { createInstruments, type InstrumentRegistry } from './instruments/registry.ts'
import { definitions } from './metrics.ts'
import type { RegistryLike, ResolvedOptions } from './options.ts'
import { createCollection } from './scrape/collection.ts'
import { type Collect, type CollectorContext, type CollectorOptions, createCollectors } from './scrape/collectors.ts'
import { withDeadline } from './scrape/deadline.ts'
import { createExpose, type ExposeOptions, type Exposition } from './scrape/expose.ts'
import { constantLabelsOf, familiesOf } from './scrape/families.ts'

/** The decorator `fastify.metrics`. */
export interface Metrics extends Pick<InstrumentRegistry, 'counter' | 'gauge' | 'histogram'> {
  /** The registry that holds every metric; metrics of prom-client's own classes can be registered in it too. */
  readonly registry: RegistryLike
  /**
   * Runs `collect` before each exposition, with a deadline, in parallel with all other collectors. Returns a function
   * that removes the collector.
   */
  collector(name: string, collect: Collect, options?: CollectorOptions): () => void
  /**
   * Counts an error thrown by an application's callback in `metrics_errors_total{plugin}`; logs the first of each
   * plugin.
   */
  callbackError(plugin: string, error: unknown): void
  /** Collects and renders: the response of `GET /metrics`. Concurrent calls share one collection. */
  expose(options?: ExposeOptions): Promise<Exposition>
}

/** Creates `fastify.metrics`. `close` stops everything it started; the registry can still be read afterwards. */
export function createMetrics(
  options: Pick<
    ResolvedOptions,
    'registry' | 'maxSeries' | 'maxLabelLength' | 'labels' | 'collectorTimeoutMs' | 'cluster'
  >,
  log: FastifyBaseLogger,
): { metrics: Metrics; close(): Promise<void> } {
  const { registry, maxSeries, maxLabelLength, labels, collectorTimeoutMs } = options
  const constantLabels = () => constantLabelsOf(registry, labels)

  const instruments = createInstruments(
    registry,
    { maxSeries, maxLabelLength, labels: constantLabels() },
    { log, onCollect: (name, collect) => void collectors.add(name, collect) },
  )
  const seriesCount = instruments.gauge(definitions.series)
  const callbackErrors = instruments.counter(definitions.errors)
  const collectors = createCollectors({
    metrics: {
      success: instruments.gauge(definitions.collectorSuccess),
      duration: instruments.gauge(definitions.collectorDuration),
      lastSuccess: instruments.gauge(definitions.collectorLastSuccess),
    },
    timeoutMs: collectorTimeoutMs,
    log,
    onRefused: createRefused(callbackErrors, log),
  })
  const collection = createCollection(registry, instruments.context, collectors)
  instruments.context.collect = collection.runCollectors

  const member = joinCluster(
    options.cluster,
    {
      constantLabels,
      families: () => familiesOf(registry, constantLabels(), collectors.last),
      collect(budgetMs) {
        instruments.restore()
        return collection.collect(Math.min(budgetMs, collectorTimeoutMs))
      },
    },
    collectors,
  )

  const { families } = member
  const expose = createExpose({ collection, constantLabels, families, seriesCount })
  const metrics: Metrics = {
    registry,
    counter: instruments.counter,
    gauge: instruments.gauge,
    histogram: instruments.histogram,
    collector: collectors.add,
    callbackError: createCallbackError(callbackErrors, log),
    expose(options) {
      instruments.restore()
      return expose(options)
    },
  }
  return { metrics, close }

  async function close(): Promise<void> {
    const sent = member.close()
    collectors.clear()
    collection.close()
    instruments.release()
    // A primary that hangs must not keep this application from closing.
    if (sent) await withDeadline(sent, collectorTimeoutMs)
  }
}

/** Counts metrics of other people's classes that are left out; logs each of them once. */
function createRefused(errors: Counter<'plugin'>, log: FastifyBaseLogger): CollectorContext['onRefused'] {
  const reported = new WeakSet<ClientMetric>()

  return function onRefused(metric, error) {
    errors.reserve({ plugin: 'metrics-core' }).inc()
    if (reported.has(metric)) return
    reported.add(metric)
    log.error({ err: error, metric: String(metric.name) }, 'a metric that Prometheus would refuse is left out')
  }
}

function createCallbackError(errors: Counter<'plugin'>, log: FastifyBaseLogger): Metrics['callbackError'] {
  const reportedPlugins = new Set<string>()

  return function callbackError(plugin, error) {
    errors.reserve({ plugin }).inc()
    if (reportedPlugins.has(plugin)) return
    reportedPlugins.add(plugin)
    log.error({ err: error, plugin }, 'a callback of the application threw while something was measured')
  }
}
