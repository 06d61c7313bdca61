/**
 * The metrics of Node.js and of the process that metrics-core adds. Their definitions stand where they are registered
 * (`packages/metrics-core/src/default-metrics.ts`), so they are said here again; the test finds what differs.
 *
 * @module
 */
import type { Metric, MetricType } from './metrics.ts'

const LINUX = { condition: 'on Linux' }

export const nodejsMetrics: readonly Metric[] = [
  counter('process_cpu_user_seconds_total', 'User CPU time of the process in seconds.'),
  counter('process_cpu_system_seconds_total', 'System CPU time of the process in seconds.'),
  counter('process_cpu_seconds_total', 'User and system CPU time of the process in seconds.'),
  gauge('process_start_time_seconds', 'Start time of the process in seconds since the epoch.'),
  gauge('process_open_fds', 'Open file descriptors.', LINUX),
  gauge('process_max_fds', 'Limit of open file descriptors.', LINUX),
  gauge('process_resident_memory_bytes', 'Resident memory in bytes.'),
  gauge('process_virtual_memory_bytes', 'Virtual memory in bytes.', LINUX),
  gauge('process_heap_bytes', 'Data segment of the process in bytes.', LINUX),
  gauge('nodejs_heap_size_total_bytes', 'Heap of V8 in bytes.'),
  gauge('nodejs_heap_size_used_bytes', 'Used heap of V8 in bytes.'),
  gauge('nodejs_heap_size_limit_bytes', 'Heap in bytes beyond which V8 ends the process.'),
  gauge('nodejs_external_memory_bytes', 'Memory of objects outside the heap in bytes.'),
  ...['total', 'used', 'available'].map((what) =>
    gauge(`nodejs_heap_space_size_${what}_bytes`, `Size of a heap space in bytes: ${what}.`, { labels: ['space'] }),
  ),
  gauge('nodejs_active_resources', 'What keeps the event loop alive, by type.', { labels: ['type'] }),
  gauge('nodejs_active_handles', 'Active libuv handles by type.', { labels: ['type'] }),
  gauge('nodejs_active_requests', 'Active libuv requests by type.', { labels: ['type'] }),
  {
    ...metric(
      'histogram',
      'nodejs_gc_duration_seconds',
      'Garbage collections by kind: major, minor, incremental or weakcb.',
      {
        labels: ['kind'],
        values: { kind: ['major', 'minor', 'incremental', 'weakcb'] },
      },
    ),
    buckets: [0.001, 0.01, 0.1, 1, 2, 5],
  },
  gauge('nodejs_eventloop_lag_seconds', 'Time that an immediate waited for its turn while this was read.'),
  ...Object.entries({
    min: 'Minimum',
    max: 'Maximum',
    mean: 'Mean',
    stddev: 'Standard deviation',
    p50: 'Median',
    p90: '90th percentile',
    p99: '99th percentile',
  }).map(([what, meaning]) =>
    gauge(`nodejs_eventloop_lag_${what}_seconds`, `${meaning} of the event-loop delays lately.`),
  ),
  gauge('nodejs_eventloop_utilization_ratio', 'Part of the time in which the event loop was busy lately, 0 to 1.'),
  gauge('nodejs_version_info', 'Node.js version; always 1.', { labels: ['major', 'minor', 'patch', 'version'] }),
]

function counter(name: string, help: string, rest: Partial<Metric> = {}): Metric {
  return metric('counter', name, help, rest)
}

function gauge(name: string, help: string, rest: Partial<Metric> = {}): Metric {
  return metric('gauge', name, help, rest)
}

function metric(type: MetricType, name: string, help: string, rest: Partial<Metric>): Metric {
  return { name, type, help, labels: [], values: {}, package: 'metrics-core', ...rest }
}
