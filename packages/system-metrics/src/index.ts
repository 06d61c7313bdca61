/**
 * Processors, memory, disk, load and network of the machine, and the limits of the container, sampled in the
 * background: a scrape reads numbers that are already there.
 * See docs/decisions/0016-system-metrics-reads-proc.md.
 *
 * @module
 */
import { ensureMetrics } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { containerReading } from './container.ts'
import { cpuReading } from './cpu.ts'
import { checkPath, diskReading } from './disk.ts'
import { createInstruments } from './instruments.ts'
import { loadReading } from './load.ts'
import { memoryReading } from './memory.ts'
import { networkReading } from './network.ts'
import { resolveOptions, type SystemMetricsOptions } from './options.ts'
import { pressureReading } from './pressure.ts'
import { createSampler, settlesWithin } from './sampler.ts'

/** The decorator `fastify.systemMetrics`. */
export interface SystemMetrics {
  /**
   * Samples now, in addition to the timer. Resolves when everything has been read, and never rejects. The CPU percent
   * then covers the time since the previous sample.
   */
  sample(): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    systemMetrics: SystemMetrics
  }
}

/** Fastify's default, used where the application has switched its plugin timeout off. */
const PLUGIN_TIMEOUT_MS = 10_000

async function systemMetrics(fastify: FastifyInstance, options: SystemMetricsOptions): Promise<void> {
  const { intervalMs, path, networkDevices } = resolveOptions(options)

  const metrics = await ensureMetrics(fastify)
  const instruments = createInstruments(metrics)
  const sampler = createSampler(
    {
      cpu: cpuReading(instruments),
      memory: memoryReading(instruments, containerReading(instruments)),
      disk: diskReading(instruments, path),
      load: loadReading(instruments),
      network: networkReading(instruments, isMeasured),
      pressure: pressureReading(instruments),
    },
    intervalMs,
  )
  const removeCollector = metrics.collector('system', sampler.check)

  fastify.decorate('systemMetrics', { sample: sampler.sample })

  fastify.addHook('onClose', async () => {
    sampler.stop()
    removeCollector()
  })

  await start()

  /**
   * Waits for the first sample, so that the first scrape has it, and refuses a path that does not exist. Both take
   * milliseconds, unless a network file system hangs: then the start goes on after half of Fastify's plugin timeout.
   */
  async function start(): Promise<void> {
    const timeoutMs = (fastify.initialConfig.pluginTimeout || PLUGIN_TIMEOUT_MS) / 2
    const check = checkPath(path)
    if (await settlesWithin(Promise.all([check, sampler.sample()]), timeoutMs)) return

    fastify.log.warn({ path }, `The first sample did not end within ${timeoutMs} ms: the file system of path may hang`)
    // It is too late to refuse the path. The collector reports it as failing from now on.
    check.catch((error) => fastify.log.error({ err: error }, error.message))
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

const plugin: FastifyPluginAsync<SystemMetricsOptions> = fp(systemMetrics, {
  name: '@data20/system-metrics',
  fastify: '5.x',
})

export type { SystemMetricsOptions }
export { plugin as default, plugin as systemMetrics }
