/**
 * CPU time, file descriptors, start time and Node.js version of the process.
 *
 * @module
 */
import { readdir, readFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import type { Metrics } from '../create-metrics.ts'
import type { CounterSeries } from '../instruments/counter.ts'
import { definitions } from './metrics.ts'

/** Adds what changes, read by the collector `process`. */
export function addProcess(metrics: Metrics): () => void {
  const user = metrics.counter(definitions.cpuUser)
  const system = metrics.counter(definitions.cpuSystem)
  const total = metrics.counter(definitions.cpu)
  const descriptors =
    process.platform === 'linux'
      ? {
          open: metrics.gauge(definitions.openDescriptors),
          max: metrics.gauge(definitions.maxDescriptors),
          ratio: metrics.gauge(definitions.descriptorRatio),
        }
      : undefined

  const collect = async () => {
    const usage = process.cpuUsage()
    raise(user.labels(), usage.user / 1e6)
    raise(system.labels(), usage.system / 1e6)
    raise(total.labels(), (usage.user + usage.system) / 1e6)
    if (descriptors === undefined) return
    // Minus the descriptor that lists them.
    const open = (await readdir('/proc/self/fd')).length - 1
    const limit = /^Max open files\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1]
    const max = limit === undefined ? Infinity : Number(limit)
    descriptors.open.set(open)
    descriptors.max.set(max)
    descriptors.ratio.set(open / max)
  }
  return metrics.collector('process', collect, { isObserver: true })
}

/** Adds what stays the same. */
export function addIdentity(metrics: Metrics): void {
  const [major, minor, patch] = process.versions.node.split('.')
  metrics.gauge(definitions.version).reserve({ version: process.version, major, minor, patch }).set(1)
  metrics.gauge(definitions.startTime).set(performance.timeOrigin / 1000)
}

/**
 * Raises a counter to a total. Nothing is counted twice when applications share a registry or use it one after the
 * other.
 */
function raise(series: CounterSeries, total: number): void {
  series.inc(Math.max(0, total - series.value))
}
