/**
 * The metrics of Node.js and of the process, under the names of prom-client's defaults.
 *
 * @module
 */
import type { LabelValues } from '../definition.ts'

/** Kinds of garbage collection, as `perf_hooks` tells them apart. */
export const GC_KINDS = ['major', 'minor', 'incremental', 'weakcb'] as const

export const definitions = {
  cpuUser: {
    type: 'counter',
    name: 'process_cpu_user_seconds_total',
    help: 'User CPU time of the process in seconds.',
  },
  cpuSystem: {
    type: 'counter',
    name: 'process_cpu_system_seconds_total',
    help: 'System CPU time of the process in seconds.',
  },
  cpu: {
    type: 'counter',
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time of the process in seconds.',
  },
  startTime: {
    type: 'gauge',
    name: 'process_start_time_seconds',
    help: 'Start time of the process in seconds since the epoch.',
    isState: true,
    aggregator: 'omit',
  },
  openDescriptors: {
    type: 'gauge',
    name: 'process_open_fds',
    help: 'Open file descriptors.',
    condition: 'on Linux',
    aggregator: 'sum',
  },
  maxDescriptors: {
    type: 'gauge',
    name: 'process_max_fds',
    help: 'Limit of open file descriptors.',
    condition: 'on Linux',
    aggregator: 'sum',
  },
  descriptorRatio: {
    type: 'gauge',
    name: 'process_open_fds_ratio',
    help: 'Open file descriptors over their limit, 0 to 1; in a cluster those of the process that is nearest to its limit.',
    condition: 'on Linux',
    aggregator: 'max',
  },
  residentMemory: {
    type: 'gauge',
    name: 'process_resident_memory_bytes',
    help: 'Resident memory in bytes.',
    aggregator: 'sum',
  },
  virtualMemory: {
    type: 'gauge',
    name: 'process_virtual_memory_bytes',
    help: 'Virtual memory in bytes.',
    condition: 'on Linux',
    aggregator: 'sum',
  },
  dataSegment: {
    type: 'gauge',
    name: 'process_heap_bytes',
    help: 'Data segment of the process in bytes.',
    condition: 'on Linux',
    aggregator: 'sum',
  },
  heapTotal: {
    type: 'gauge',
    name: 'nodejs_heap_size_total_bytes',
    help: 'Heap of V8 in bytes.',
    aggregator: 'sum',
  },
  heapUsed: {
    type: 'gauge',
    name: 'nodejs_heap_size_used_bytes',
    help: 'Used heap of V8 in bytes.',
    aggregator: 'sum',
  },
  heapLimit: {
    type: 'gauge',
    name: 'nodejs_heap_size_limit_bytes',
    help: 'Heap in bytes beyond which V8 ends the process.',
    aggregator: 'sum',
  },
  heapRatio: {
    type: 'gauge',
    name: 'nodejs_heap_used_ratio',
    help: 'Used heap of V8 over the heap beyond which V8 ends the process, 0 to 1; in a cluster that of the fullest process.',
    // A ratio of sums would hide one full heap among empty ones.
    aggregator: 'max',
  },
  externalMemory: {
    type: 'gauge',
    name: 'nodejs_external_memory_bytes',
    help: 'Memory of objects outside the heap in bytes.',
    aggregator: 'sum',
  },
  heapSpaceTotal: {
    type: 'gauge',
    name: 'nodejs_heap_space_size_total_bytes',
    help: 'Size of a heap space in bytes: total.',
    labelNames: ['space'],
    maxSeries: false,
    aggregator: 'sum',
  },
  heapSpaceUsed: {
    type: 'gauge',
    name: 'nodejs_heap_space_size_used_bytes',
    help: 'Size of a heap space in bytes: used.',
    labelNames: ['space'],
    maxSeries: false,
    aggregator: 'sum',
  },
  heapSpaceAvailable: {
    type: 'gauge',
    name: 'nodejs_heap_space_size_available_bytes',
    help: 'Size of a heap space in bytes: available.',
    labelNames: ['space'],
    maxSeries: false,
    aggregator: 'sum',
  },
  activeResources: {
    type: 'gauge',
    name: 'nodejs_active_resources',
    help: 'Resources that keep the event loop alive, by type.',
    labelNames: ['type'],
    aggregator: 'sum',
  },
  activeHandles: {
    type: 'gauge',
    name: 'nodejs_active_handles',
    help: 'Active libuv handles by type.',
    labelNames: ['type'],
    aggregator: 'sum',
  },
  activeRequests: {
    type: 'gauge',
    name: 'nodejs_active_requests',
    help: 'Active libuv requests by type.',
    labelNames: ['type'],
    aggregator: 'sum',
  },
  gcDuration: {
    type: 'histogram',
    name: 'nodejs_gc_duration_seconds',
    help: 'Garbage collections by kind: major, minor, incremental or weakcb.',
    labelNames: ['kind'],
    maxSeries: false,
    buckets: [0.001, 0.01, 0.1, 1, 2, 5],
  },
  lag: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_seconds',
    help: 'Time that an immediate scheduled during the scrape waited for the event loop.',
    aggregator: 'average',
  },
  lagMin: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_min_seconds',
    help: 'Minimum of the recent event-loop delays.',
    aggregator: 'min',
  },
  lagMax: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_max_seconds',
    help: 'Maximum of the recent event-loop delays.',
    aggregator: 'max',
  },
  lagMean: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_mean_seconds',
    help: 'Mean of the recent event-loop delays.',
    aggregator: 'average',
  },
  lagDeviation: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_stddev_seconds',
    help: 'Standard deviation of the recent event-loop delays.',
    aggregator: 'average',
  },
  // A mean of percentiles says nothing, and would hide the one process of a cluster whose event loop is blocked.
  lagP50: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_p50_seconds',
    help: 'Median of the recent event-loop delays.',
    aggregator: 'max',
  },
  lagP90: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_p90_seconds',
    help: '90th percentile of the recent event-loop delays.',
    aggregator: 'max',
  },
  lagP99: {
    type: 'gauge',
    name: 'nodejs_eventloop_lag_p99_seconds',
    help: '99th percentile of the recent event-loop delays.',
    aggregator: 'max',
  },
  utilization: {
    type: 'gauge',
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'Recent share of time in which the event loop was busy, 0 to 1.',
    aggregator: 'average',
  },
  version: {
    type: 'gauge',
    name: 'nodejs_version_info',
    help: 'Node.js version; always 1.',
    labelNames: ['version', 'major', 'minor', 'patch'],
    isState: true,
    maxSeries: false,
    aggregator: 'first',
  },
} as const

/** The values of labels that have a fixed set of them. */
export const labelValues: LabelValues = { kind: GC_KINDS }
