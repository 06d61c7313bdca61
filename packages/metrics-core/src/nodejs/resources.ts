/**
 * Resources, libuv handles and libuv requests that are active.
 *
 * @module
 */
import type { Metrics } from '../create-metrics.ts'
import type { Gauge } from '../instruments/gauge.ts'
import { definitions } from './metrics.ts'

/** Adds the metrics of active resources, read by the collector `resources`. */
export function addResources(metrics: Metrics): () => void {
  const gauges = {
    resources: metrics.gauge(definitions.activeResources),
    handles: metrics.gauge(definitions.activeHandles),
    requests: metrics.gauge(definitions.activeRequests),
  }
  // Node.js has had both since version 0.x, undocumented. prom-client reads them too.
  const { _getActiveHandles: handles, _getActiveRequests: requests } = process as unknown as Record<
    string,
    (() => object[]) | undefined
  >

  return metrics.collector('resources', () => {
    setCounts(gauges.resources, process.getActiveResourcesInfo())
    if (handles) setCounts(gauges.handles, handles.call(process).map(typeOf))
    if (requests) setCounts(gauges.requests, requests.call(process).map(typeOf))
  })
}

function setCounts(gauge: Gauge<'type'>, types: string[]): void {
  gauge.reset()
  for (const type of types) gauge.labels({ type }).inc()
}

function typeOf(thing: object): string {
  return thing.constructor?.name || 'unknown'
}
