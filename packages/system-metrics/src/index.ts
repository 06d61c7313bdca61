/**
 * Processors, memory, disk, load and network of the machine, and the limits of the container, sampled in the
 * background: a scrape reads numbers that are there already.
 *
 * @module
 */
import { statfs } from 'node:fs/promises'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Counter, Gauge } from '@data20/metrics-core'
import { ensureMetrics, InvalidOptionError } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { mem } from 'systeminformation'
import { isMissing, readCgroup } from './cgroup.ts'
import { busyPercent, type CpuTimes, readCpuTimes } from './cpu.ts'
import { definitions, LOAD_WINDOWS } from './metrics.ts'
import { type DeviceBytes, increase, readDevices } from './network.ts'
import type { SystemMetricsOptions } from './options.ts'
import { createSampler } from './sample.ts'

/** What applications find at `fastify.systemMetrics`. */
export interface SystemMetrics {
  /**
   * Samples now, beside the timer; resolves when all has been read, and never rejects. The value of the processors is
   * then that of the time since the sample before.
   */
  sample(): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    systemMetrics: SystemMetrics
  }
}

/** The first sample takes a few milliseconds, and is there before the first scrape; start-up waits no longer for it than this. */
const START_MS = 100
/** More is taken for 1 by Node's timers. */
const MAX_INTERVAL_MS = 2_147_483_647

async function systemMetrics(fastify: FastifyInstance, options: SystemMetricsOptions): Promise<void> {
  const { intervalMs = 5000, path = process.cwd(), networkDevices = (device) => device !== 'lo' } = options
  checkOptions(options)

  const metrics = await ensureMetrics(fastify)
  const cpuPercent = absent(metrics.gauge(definitions.cpuPercent))
  const memoryPercent = absent(metrics.gauge(definitions.memoryPercent))
  const memoryUsed = absent(metrics.gauge(definitions.memoryUsed))
  const memoryTotal = absent(metrics.gauge(definitions.memoryTotal))
  const swapUsed = absent(metrics.gauge(definitions.swapUsed))
  const diskPercent = absent(metrics.gauge(definitions.diskPercent))
  const diskUsed = absent(metrics.gauge(definitions.diskUsed))
  const diskTotal = absent(metrics.gauge(definitions.diskTotal))
  const loadAverage = metrics.gauge(definitions.loadAverage)
  const networkReceived = metrics.counter(definitions.networkReceived)
  const networkTransmitted = metrics.counter(definitions.networkTransmitted)
  const containerMemoryLimit = absent(metrics.gauge(definitions.containerMemoryLimit))
  const containerMemoryUsed = absent(metrics.gauge(definitions.containerMemoryUsed))
  const containerThrottled = absent(metrics.counter(definitions.containerThrottled))
  let lastCpuTimes: CpuTimes | undefined
  let lastDevices = new Map<string, DeviceBytes>()
  let lastThrottledSeconds: number | undefined

  const sampler = createSampler(
    { cpu: readCpu, memory: readMemory, disk: readDisk, load: readLoad, network: readNetwork },
    intervalMs,
  )
  const removeCollector = metrics.collector('system', sampler.check)

  fastify.decorate('systemMetrics', { sample: sampler.sample })

  fastify.addHook('onClose', async () => {
    sampler.stop()
    removeCollector()
  })

  // Raced, since a network file system can take for ever to answer.
  await Promise.race([Promise.all([sampler.sample(), checkPath(path)]), sleep(START_MS, undefined, { ref: false })])

  async function readCpu(): Promise<void> {
    const times = await readCpuTimes()
    const percent = lastCpuTimes && busyPercent(lastCpuTimes, times)
    lastCpuTimes = times
    if (percent !== undefined) cpuPercent.set(percent)
  }

  async function readMemory(): Promise<void> {
    // Of systeminformation's functions the one that starts no child process on Linux: it reads /proc/meminfo.
    const [{ total, available, swapused }, container] = await Promise.all([mem(), readCgroup()])
    const used = total - available
    memoryUsed.set(used)
    memoryTotal.set(total)
    swapUsed.set(swapused)

    const { memory, cpu } = container
    // A limit above what the machine has will never be met.
    memoryPercent.set(
      memory && memory.limitBytes < total ? percentOf(memory.usedBytes, memory.limitBytes) : percentOf(used, total),
    )
    show(containerMemoryLimit, memory?.limitBytes)
    show(containerMemoryUsed, memory?.usedBytes)
    if (cpu === undefined) absent(containerThrottled)
    else containerThrottled.inc(increase(lastThrottledSeconds, cpu.throttledSeconds))
    lastThrottledSeconds = cpu?.throttledSeconds
  }

  async function readDisk(): Promise<void> {
    const { bsize, blocks, bfree, bavail } = await statfs(path)
    const used = blocks - bfree
    diskUsed.set(used * bsize)
    diskTotal.set(blocks * bsize)
    // A file system without blocks, such as /proc, is neither empty nor full.
    show(diskPercent, blocks > 0 ? percentOf(used, used + bavail) : undefined)
  }

  function readLoad(): void {
    // Node.js answers 0 on Windows, which has no such number.
    if (process.platform === 'win32') return
    for (const [index, load] of os.loadavg().entries()) loadAverage.reserve({ window: LOAD_WINDOWS[index] }).set(load)
  }

  async function readNetwork(): Promise<void> {
    const devices = new Map([...(await readDevices())].filter(([device]) => isMeasured(device)))
    for (const [device, { received, transmitted }] of devices) {
      const last = lastDevices.get(device)
      networkReceived.labels({ device }).inc(increase(last?.received, received))
      networkTransmitted.labels({ device }).inc(increase(last?.transmitted, transmitted))
    }
    // Containers come and go, and so do their devices: one that has gone gives its place back.
    for (const device of lastDevices.keys()) {
      if (devices.has(device)) continue
      networkReceived.remove({ device })
      networkTransmitted.remove({ device })
    }
    lastDevices = devices
  }

  function isMeasured(device: string): boolean {
    try {
      return networkDevices(device)
    } catch (error) {
      metrics.callbackError('system-metrics', error)
      return false
    }
  }
}

function checkOptions({ intervalMs = 5000, networkDevices }: SystemMetricsOptions): void {
  if (!(intervalMs >= 100 && intervalMs <= MAX_INTERVAL_MS)) {
    throw new InvalidOptionError('intervalMs', `a number from 100 to ${MAX_INTERVAL_MS}`, intervalMs)
  }
  if (networkDevices !== undefined && typeof networkDevices !== 'function') {
    throw new InvalidOptionError('networkDevices', 'a function', networkDevices)
  }
}

/** A path that is not there is a mistake of whoever wrote it; any other failure is the machine's and shows in the collector. */
async function checkPath(path: string): Promise<void> {
  try {
    await statfs(path)
  } catch (error) {
    if (isMissing(error)) throw new InvalidOptionError('path', 'a path that exists', path)
  }
}

/** Takes the only series away: nothing is known yet, and 0 would be a lie. */
function absent<Instrument extends Gauge | Counter>(instrument: Instrument): Instrument {
  instrument.remove()
  return instrument
}

function show(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) absent(gauge)
  else gauge.set(value)
}

function percentOf(part: number, whole: number): number {
  return (100 * part) / whole
}

const plugin: FastifyPluginAsync<SystemMetricsOptions> = fp(systemMetrics, {
  name: '@data20/system-metrics',
  fastify: '5.x',
})

export type { SystemMetricsOptions }
export { plugin as default, plugin as systemMetrics }
