/**
 * The metrics of system-metrics. Names and labels are public API.
 *
 * @module
 */
import type { LabelValues } from '@data20/metrics-core/plugin'

/** The windows of the load average, in the order of the system. */
export const LOAD_WINDOWS = ['1m', '5m', '15m'] as const

/** What tasks wait for, as the kernel names it. */
export const PRESSURE_RESOURCES = ['cpu', 'memory', 'io'] as const

/** How many of the tasks wait: at least one, or all of them. */
export const PRESSURE_KINDS = ['some', 'full'] as const

// Every worker of a cluster measures the same machine, so their values are combined by `max`, never by a sum.
export const definitions = {
  cpuPercent: {
    type: 'gauge',
    name: 'system_cpu_percent',
    help: 'Part of the time since the previous sample in which the processors of the machine worked, 0 to 100; waiting for a disk is idle.',
    unit: 'percent',
    aggregator: 'max',
  },
  memoryPercent: {
    type: 'gauge',
    name: 'system_memory_percent',
    help: 'Used memory, 0 to 100: of the limit of the container where a cgroup limit below the memory of the machine exists, otherwise of the machine.',
    unit: 'percent',
    aggregator: 'max',
  },
  memoryUsed: {
    type: 'gauge',
    name: 'system_memory_used_bytes',
    help: 'Memory of the machine that is not available to programs: total less available.',
    unit: 'bytes',
    aggregator: 'max',
  },
  memoryTotal: {
    type: 'gauge',
    name: 'system_memory_total_bytes',
    help: 'Memory of the machine.',
    unit: 'bytes',
    aggregator: 'max',
  },
  swapUsed: {
    type: 'gauge',
    name: 'system_swap_used_bytes',
    help: 'Swap space of the machine in use.',
    unit: 'bytes',
    aggregator: 'max',
  },
  diskPercent: {
    type: 'gauge',
    name: 'system_disk_percent',
    help: 'Used part of the space of the file system that programs without privileges can use, 0 to 100, as df shows it.',
    unit: 'percent',
    aggregator: 'max',
  },
  diskUsed: {
    type: 'gauge',
    name: 'system_disk_used_bytes',
    help: 'Used space of the file system; absent where the size of its blocks is not known.',
    unit: 'bytes',
    aggregator: 'max',
  },
  diskTotal: {
    type: 'gauge',
    name: 'system_disk_total_bytes',
    help: 'Size of the file system, with the space that is reserved for the administrator; absent where the size of its blocks is not known.',
    unit: 'bytes',
    aggregator: 'max',
  },
  diskInodes: {
    type: 'gauge',
    name: 'system_disk_inodes_percent',
    help: 'Used part of the inodes of the file system, 0 to 100: without a free one no file can be made; absent where their number is not fixed.',
    unit: 'percent',
    aggregator: 'max',
    condition: 'where the file system has a fixed number of inodes',
  },
  loadAverage: {
    type: 'gauge',
    name: 'system_load_average',
    help: 'Mean number of tasks that ran, could run or waited for a disk over the last 1, 5 and 15 minutes.',
    labelNames: ['window'],
    aggregator: 'max',
  },
  networkReceived: {
    type: 'counter',
    name: 'system_network_receive_bytes_total',
    help: 'Bytes that a network device received.',
    labelNames: ['device'],
    unit: 'bytes',
    aggregator: 'max',
  },
  networkTransmitted: {
    type: 'counter',
    name: 'system_network_transmit_bytes_total',
    help: 'Bytes that a network device transmitted.',
    labelNames: ['device'],
    unit: 'bytes',
    aggregator: 'max',
  },
  pressure: {
    type: 'counter',
    name: 'system_pressure_seconds_total',
    help: 'Time for which some or all tasks waited for a processor, for memory or for a disk: of the cgroup of this process where version 2 has one, otherwise of the machine.',
    labelNames: ['resource', 'kind'],
    unit: 'seconds',
    aggregator: 'max',
    condition: 'where the kernel has pressure stall information',
  },
  containerMemoryLimit: {
    type: 'gauge',
    name: 'container_memory_limit_bytes',
    help: 'The smallest cgroup memory limit that applies to this process; absent where there is none.',
    unit: 'bytes',
    aggregator: 'max',
    condition: 'where a cgroup memory limit exists',
  },
  containerMemoryUsed: {
    type: 'gauge',
    name: 'container_memory_used_bytes',
    help: 'Memory that counts towards the limit and cannot be dropped: at the limit a process is killed; absent where there is no limit.',
    unit: 'bytes',
    aggregator: 'max',
    condition: 'where a cgroup memory limit exists',
  },
  containerWorkingSet: {
    type: 'gauge',
    name: 'container_memory_working_set_bytes',
    help: 'Memory that counts towards the limit, without file pages that were not used lately, as Kubernetes computes it; absent where there is no limit.',
    unit: 'bytes',
    aggregator: 'max',
    condition: 'where a cgroup memory limit exists',
  },
  containerCpuLimit: {
    type: 'gauge',
    name: 'container_cpu_limit_cores',
    help: 'The smallest cgroup processor limit that applies to this process, in processors; absent where there is none.',
    aggregator: 'max',
    condition: 'where a cgroup processor limit exists',
  },
  containerCpuUsage: {
    type: 'counter',
    name: 'container_cpu_usage_seconds_total',
    help: 'Processor time of the cgroup that sets the limit, or of the own cgroup of this process without a limit; absent in the root.',
    unit: 'seconds',
    aggregator: 'max',
    condition: 'in a cgroup with the processor controller',
  },
  containerThrottled: {
    type: 'counter',
    name: 'container_cpu_throttled_seconds_total',
    help: 'Time for which the tightest cgroup processor limit kept this container from running; absent where there is no limit.',
    unit: 'seconds',
    aggregator: 'max',
    condition: 'where a cgroup processor limit exists',
  },
} as const

/** The values of labels with a fixed set of values. */
export const labelValues: LabelValues = {
  window: LOAD_WINDOWS,
  resource: PRESSURE_RESOURCES,
  kind: PRESSURE_KINDS,
}
