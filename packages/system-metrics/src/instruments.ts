/**
 * The instruments of system-metrics. A series appears with its first value: 0 would be a lie until something was read.
 *
 * @module
 */
import type { Counter, Gauge, Metrics } from '@data20/metrics-core'
import { definitions } from './metrics.ts'
import { absent } from './values.ts'

export interface Instruments {
  cpuPercent: Gauge
  memoryPercent: Gauge
  memoryUsed: Gauge
  memoryTotal: Gauge
  swapUsed: Gauge
  diskPercent: Gauge
  diskUsed: Gauge
  diskTotal: Gauge
  diskInodes: Gauge
  loadAverage: Gauge<'window'>
  networkReceived: Counter<'device'>
  networkTransmitted: Counter<'device'>
  pressure: Counter<'resource' | 'kind'>
  containerMemoryLimit: Gauge
  containerMemoryUsed: Gauge
  containerWorkingSet: Gauge
  containerCpuLimit: Gauge
  containerCpuUsage: Counter
  containerThrottled: Counter
}

export function createInstruments(metrics: Metrics): Instruments {
  return {
    cpuPercent: absent(metrics.gauge(definitions.cpuPercent)),
    memoryPercent: absent(metrics.gauge(definitions.memoryPercent)),
    memoryUsed: absent(metrics.gauge(definitions.memoryUsed)),
    memoryTotal: absent(metrics.gauge(definitions.memoryTotal)),
    swapUsed: absent(metrics.gauge(definitions.swapUsed)),
    diskPercent: absent(metrics.gauge(definitions.diskPercent)),
    diskUsed: absent(metrics.gauge(definitions.diskUsed)),
    diskTotal: absent(metrics.gauge(definitions.diskTotal)),
    diskInodes: absent(metrics.gauge(definitions.diskInodes)),
    loadAverage: metrics.gauge(definitions.loadAverage),
    networkReceived: metrics.counter(definitions.networkReceived),
    networkTransmitted: metrics.counter(definitions.networkTransmitted),
    pressure: metrics.counter(definitions.pressure),
    containerMemoryLimit: absent(metrics.gauge(definitions.containerMemoryLimit)),
    containerMemoryUsed: absent(metrics.gauge(definitions.containerMemoryUsed)),
    containerWorkingSet: absent(metrics.gauge(definitions.containerWorkingSet)),
    containerCpuLimit: absent(metrics.gauge(definitions.containerCpuLimit)),
    containerCpuUsage: absent(metrics.counter(definitions.containerCpuUsage)),
    containerThrottled: absent(metrics.counter(definitions.containerThrottled)),
  }
}
