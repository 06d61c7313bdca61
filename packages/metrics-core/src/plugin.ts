/**
 * The kit for authors of metrics plugins: what a plugin needs beyond `fastify.metrics`. Applications do not need it.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import type { Metrics } from './create-metrics.ts'
import { metricsCore } from './index.ts'

/**
 * Registers metrics-core with its defaults unless the application has registered it. The first line of every plugin.
 */
export async function ensureMetrics(fastify: FastifyInstance): Promise<Metrics> {
  // Registered again, it does nothing, or says that the decorator belongs to another plugin.
  if (typeof fastify.metrics?.counter !== 'function') await fastify.register(metricsCore)
  return fastify.metrics
}

export { checkBuckets, checkList, checkTimeout } from './checks.ts'
export type { Definition, Definitions, LabelValues } from './definition.ts'
export { AlreadyRegisteredError, InvalidOptionError, UnknownOptionError } from './errors.ts'
export { checkOptionNames, type OptionNames } from './option-names.ts'
export { type Method, patch } from './patch.ts'
