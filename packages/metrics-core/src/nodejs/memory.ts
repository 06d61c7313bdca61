/**
 * Memory of the process and of V8.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import type { Metrics } from '../create-metrics.ts'
import { definitions } from './metrics.ts'

/** Adds the metrics of memory, read by the collector `memory`. */
export function addMemory(metrics: Metrics): () => void {
  const resident = metrics.gauge(definitions.residentMemory)
  const linux =
    process.platform === 'linux'
      ? { virtual: metrics.gauge(definitions.virtualMemory), data: metrics.gauge(definitions.dataSegment) }
      : undefined
  const heap = {
    total: metrics.gauge(definitions.heapTotal),
    used: metrics.gauge(definitions.heapUsed),
    limit: metrics.gauge(definitions.heapLimit),
    ratio: metrics.gauge(definitions.heapRatio),
  }
  const external = metrics.gauge(definitions.externalMemory)
  const spaces = {
    total: metrics.gauge(definitions.heapSpaceTotal),
    used: metrics.gauge(definitions.heapSpaceUsed),
    available: metrics.gauge(definitions.heapSpaceAvailable),
  }

  return metrics.collector('memory', async () => {
    const usage = process.memoryUsage()
    resident.set(usage.rss)
    heap.total.set(usage.heapTotal)
    heap.used.set(usage.heapUsed)
    external.set(usage.external)
    const { heap_size_limit } = getHeapStatistics()
    heap.limit.set(heap_size_limit)
    heap.ratio.set(usage.heapUsed / heap_size_limit)
    for (const { space_name, ...sizes } of getHeapSpaceStatistics()) {
      const labels = { space: space_name.replace(/_space$/, '') }
      spaces.total.reserve(labels).set(sizes.space_size)
      spaces.used.reserve(labels).set(sizes.space_used_size)
      spaces.available.reserve(labels).set(sizes.space_available_size)
    }
    if (linux === undefined) return
    const status = await readFile('/proc/self/status', 'utf8')
    linux.virtual.set(bytesOf(status, 'VmSize'))
    linux.data.set(bytesOf(status, 'VmData'))
  })
}

/** Returns a line of /proc/self/status in bytes, NaN when it is missing. */
function bytesOf(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN) * 1024
}
