/**
 * Metrics of Node.js and of the process, under the names of prom-client's defaults. prom-client's own are not used for
 * three reasons: its observers cannot be stopped, its metric of garbage collections misses most of them, and it reads
 * /proc synchronously. Its three gauges named `…_total` are left out: promtool refuses them, and `sum` gives the same.
 * See docs/decisions/0010-default-metrics-are-our-own.md.
 *
 * @module
 */
import type { Metrics } from '../create-metrics.ts'
import { isInstrument } from '../instruments/instrument.ts'
import { addEventLoop } from './event-loop.ts'
import { addGarbageCollection } from './garbage-collection.ts'
import { addMemory } from './memory.ts'
import { definitions } from './metrics.ts'
import { addIdentity, addProcess } from './process.ts'
import { addResources } from './resources.ts'

/**
 * Adds all of them, unless the registry holds the client's own default metrics. The function returned removes the
 * collectors and stops the observers.
 */
export function addDefaultMetrics(metrics: Metrics): () => void {
  const known: unknown = metrics.registry.getSingleMetric(definitions.cpuUser.name)
  if (known !== undefined && !isInstrument(known)) return () => {}

  const stops = [
    // First, so that it does not see the files that the others read.
    addResources(metrics),
    addProcess(metrics),
    addMemory(metrics),
    addGarbageCollection(metrics),
    addEventLoop(metrics),
  ]
  addIdentity(metrics)
  return () => {
    for (const stop of stops) stop()
  }
}
