/**
 * Metrics of Node.js and of the process, under the names of prom-client's defaults. They are our own for three reasons:
 * prom-client's observers cannot be stopped, its garbage-collection metric misses most collections, and it reads /proc
 * synchronously. Its three gauges named `…_total` are left out, since promtool refuses them: `sum` gives the same.
 *
 * @module
 */
import { readdir, readFile } from 'node:fs/promises'
import { constants, monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import type { Metrics } from '../create-metrics.ts'
import type { CounterSeries } from '../instruments/counter.ts'
import { isInstrument } from '../instruments/instrument.ts'

/** Scrapes that follow each other within this time see the same window of event-loop delays, so that two scrapers do not take each other's. */
const DELAY_WINDOW_MS = 5000

/** What observes garbage collections, by the histogram that they are counted in. */
const observers = new WeakMap<object, { users: number; stop(): void }>()

const GC_KINDS: Record<number, string> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
}

/** Adds them all; the function returned stops what observes. */
export function addDefaultMetrics(metrics: Metrics): () => void {
  // An application that has the client's own defaults in the registry keeps them.
  const known: unknown = metrics.registry.getSingleMetric('process_cpu_user_seconds_total')
  if (known !== undefined && !isInstrument(known)) return () => {}

  const removeCollectors = [addProcess(metrics), addMemory(metrics), addResources(metrics)]
  const stopObservers = [addGarbageCollection(metrics), addEventLoop(metrics)]
  addVersion(metrics)
  return () => {
    for (const stop of [...stopObservers, ...removeCollectors]) stop()
  }
}

function addVersion(metrics: Metrics): void {
  const [major, minor, patch] = process.versions.node.split('.')
  metrics
    .gauge({
      name: 'nodejs_version_info',
      help: 'Node.js version; always 1.',
      labelNames: ['version', 'major', 'minor', 'patch'],
      maxSeries: false,
      aggregator: 'first',
    })
    .reserve({ version: process.version, major, minor, patch })
    .set(1)
  metrics
    .gauge({
      name: 'process_start_time_seconds',
      help: 'Start time of the process in seconds since the epoch.',
      aggregator: 'omit',
    })
    .set(performance.timeOrigin / 1000)
}

function addProcess(metrics: Metrics): () => void {
  const user = metrics.counter({
    name: 'process_cpu_user_seconds_total',
    help: 'User CPU time of the process in seconds.',
  })
  const system = metrics.counter({
    name: 'process_cpu_system_seconds_total',
    help: 'System CPU time of the process in seconds.',
  })
  const total = metrics.counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time of the process in seconds.',
  })
  const descriptors =
    process.platform === 'linux'
      ? {
          open: metrics.gauge({ name: 'process_open_fds', help: 'Open file descriptors.' }),
          max: metrics.gauge({ name: 'process_max_fds', help: 'Limit of open file descriptors.' }),
        }
      : undefined

  return metrics.collector('process', async () => {
    const usage = process.cpuUsage()
    raise(user.labels(), usage.user / 1e6)
    raise(system.labels(), usage.system / 1e6)
    raise(total.labels(), (usage.user + usage.system) / 1e6)
    if (descriptors === undefined) return
    // One less: the descriptor that lists them.
    descriptors.open.set((await readdir('/proc/self/fd')).length - 1)
    const limit = /^Max open files\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1]
    descriptors.max.set(limit === undefined ? Infinity : Number(limit))
  })
}

/** Raises a counter to what the system says; nothing is counted twice when applications share the registry or follow each other in it. */
function raise(series: CounterSeries, value: number): void {
  series.inc(Math.max(0, value - series.value))
}

function addMemory(metrics: Metrics): () => void {
  const resident = metrics.gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory in bytes.' })
  const linux =
    process.platform === 'linux'
      ? {
          virtual: metrics.gauge({ name: 'process_virtual_memory_bytes', help: 'Virtual memory in bytes.' }),
          data: metrics.gauge({ name: 'process_heap_bytes', help: 'Data segment of the process in bytes.' }),
        }
      : undefined
  const heapTotal = metrics.gauge({ name: 'nodejs_heap_size_total_bytes', help: 'Heap of V8 in bytes.' })
  const heapUsed = metrics.gauge({ name: 'nodejs_heap_size_used_bytes', help: 'Used heap of V8 in bytes.' })
  const heapLimit = metrics.gauge({
    name: 'nodejs_heap_size_limit_bytes',
    help: 'Heap in bytes beyond which V8 ends the process.',
  })
  const external = metrics.gauge({
    name: 'nodejs_external_memory_bytes',
    help: 'Memory of objects outside the heap in bytes.',
  })
  const space = (what: 'total' | 'used' | 'available') =>
    metrics.gauge({
      name: `nodejs_heap_space_size_${what}_bytes`,
      help: `Size of a heap space in bytes: ${what}.`,
      labelNames: ['space'],
      maxSeries: false,
    })
  const spaces = { total: space('total'), used: space('used'), available: space('available') }

  return metrics.collector('memory', async () => {
    const usage = process.memoryUsage()
    resident.set(usage.rss)
    heapTotal.set(usage.heapTotal)
    heapUsed.set(usage.heapUsed)
    external.set(usage.external)
    heapLimit.set(getHeapStatistics().heap_size_limit)
    for (const { space_name, ...sizes } of getHeapSpaceStatistics()) {
      const labels = { space: space_name.replace(/_space$/, '') }
      spaces.total.reserve(labels).set(sizes.space_size)
      spaces.used.reserve(labels).set(sizes.space_used_size)
      spaces.available.reserve(labels).set(sizes.space_available_size)
    }
    if (linux === undefined) return
    const status = await readFile('/proc/self/status', 'utf8')
    const bytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN) * 1024
    linux.virtual.set(bytes('VmSize'))
    linux.data.set(bytes('VmData'))
  })
}

function addResources(metrics: Metrics): () => void {
  const gauges = {
    resources: metrics.gauge({
      name: 'nodejs_active_resources',
      help: 'What keeps the event loop alive, by type.',
      labelNames: ['type'],
    }),
    handles: metrics.gauge({
      name: 'nodejs_active_handles',
      help: 'Active libuv handles by type.',
      labelNames: ['type'],
    }),
    requests: metrics.gauge({
      name: 'nodejs_active_requests',
      help: 'Active libuv requests by type.',
      labelNames: ['type'],
    }),
  }
  // Node.js has had both since version 0.x, undocumented; prom-client reads them too.
  const { _getActiveHandles: handles, _getActiveRequests: requests } = process as unknown as Record<
    string,
    (() => object[]) | undefined
  >
  const typeOf = (thing: object): string => thing.constructor?.name || 'unknown'

  return metrics.collector('resources', () => {
    setCounts(gauges.resources, process.getActiveResourcesInfo())
    if (handles) setCounts(gauges.handles, handles.call(process).map(typeOf))
    if (requests) setCounts(gauges.requests, requests.call(process).map(typeOf))
  })

  function setCounts(gauge: typeof gauges.resources, types: string[]): void {
    gauge.reset()
    for (const type of types) gauge.labels({ type }).inc()
  }
}

function addGarbageCollection(metrics: Metrics): () => void {
  const duration = metrics.histogram({
    name: 'nodejs_gc_duration_seconds',
    help: 'Garbage collections by kind: major, minor, incremental or weakcb.',
    labelNames: ['kind'],
    maxSeries: false,
    buckets: [0.001, 0.01, 0.1, 1, 2, 5],
  })
  // Applications that share a registry share the observer: each collection is counted once.
  const known = observers.get(duration)
  if (known !== undefined) {
    known.users += 1
    return known.stop
  }
  const byKind = new Map(
    Object.entries(GC_KINDS).map(([kind, name]) => [Number(kind), duration.reserve({ kind: name })]),
  )
  const observer = new PerformanceObserver((list) => {
    // One callback brings many collections: all are counted.
    for (const entry of list.getEntries()) {
      byKind.get((entry as unknown as { detail: { kind: number } }).detail.kind)?.observe(entry.duration / 1000)
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  const shared = { users: 1, stop }
  observers.set(duration, shared)
  return stop

  function stop(): void {
    shared.users -= 1
    if (shared.users > 0) return
    observer.disconnect()
    observers.delete(duration)
  }
}

function addEventLoop(metrics: Metrics): () => void {
  const lag = metrics.gauge({
    name: 'nodejs_eventloop_lag_seconds',
    help: 'Time that an immediate waited for its turn while this was read.',
    aggregator: 'average',
  })
  const delay = (what: string, meaning: string, aggregator: 'average' | 'min' | 'max' = 'average') =>
    metrics.gauge({
      name: `nodejs_eventloop_lag_${what}_seconds`,
      help: `${meaning} of the event-loop delays lately.`,
      aggregator,
    })
  const gauges = {
    min: delay('min', 'Minimum', 'min'),
    max: delay('max', 'Maximum', 'max'),
    mean: delay('mean', 'Mean'),
    stddev: delay('stddev', 'Standard deviation'),
    p50: delay('p50', 'Median'),
    p90: delay('p90', '90th percentile'),
    p99: delay('p99', '99th percentile'),
  }
  const utilization = metrics.gauge({
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'Part of the time in which the event loop was busy lately, 0 to 1.',
    aggregator: 'average',
  })
  const histogram = monitorEventLoopDelay({ resolution: 10 })
  histogram.enable()
  let windowStart = -Infinity
  let lastUtilization = performance.eventLoopUtilization()

  const remove = metrics.collector('event_loop', async () => {
    const start = performance.now()
    if (start - windowStart > DELAY_WINDOW_MS) {
      windowStart = start
      readDelays()
    }
    await setImmediate()
    lag.set((performance.now() - start) / 1000)
  })
  return () => {
    histogram.disable()
    remove()
  }

  function readDelays(): void {
    const now = performance.eventLoopUtilization()
    utilization.set(performance.eventLoopUtilization(now, lastUtilization).utilization)
    lastUtilization = now
    // An empty histogram has a minimum of 9e18 and a mean of NaN.
    if (histogram.count === 0) return
    gauges.min.set(histogram.min / 1e9)
    gauges.max.set(histogram.max / 1e9)
    gauges.mean.set(histogram.mean / 1e9)
    gauges.stddev.set(histogram.stddev / 1e9)
    gauges.p50.set(histogram.percentile(50) / 1e9)
    gauges.p90.set(histogram.percentile(90) / 1e9)
    gauges.p99.set(histogram.percentile(99) / 1e9)
    histogram.reset()
  }
}
