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

  const collect = () => {
    setCounts(gauges.resources, process.getActiveResourcesInfo())
    if (handles) setCounts(gauges.handles, handles.call(process).map(typeOf))
    if (requests) setCounts(gauges.requests, requests.call(process).map(typeOf))
  }
  return metrics.collector('resources', collect, { isObserver: true })
}

/** Sets the counts. A list can have hundreds of thousands of elements; those of one type stand together. */
function setCounts(gauge: Gauge<'type'>, types: string[]): void {
  const counts = new Map<string, number>()
  let start = 0
  for (let index = 1; index <= types.length; index += 1) {
    const type = types[start]!
    if (types[index] === type) continue
    counts.set(type, (counts.get(type) ?? 0) + index - start)
    start = index
  }
  gauge.reset()
  for (const [type, count] of counts) gauge.labels({ type }).set(count)
}

function typeOf(thing: object): string {
  return thing.constructor?.name || 'unknown'
}
