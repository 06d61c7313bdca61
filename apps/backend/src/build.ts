/**
 * Makes a Fastify instance and loads an application into it.
 *
 * @module
 */
import Fastify, { type FastifyInstance, type FastifyPluginAsync, LogController } from 'fastify'
import type { Config } from './config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The configuration of the process. */
    config: Config
  }
}

/**
 * Builds an application, ready to listen or to inject into. The caller closes it. A start that fails closes what it has
 * begun and throws, a `ConfigError` for a setting that cannot work.
 */
export async function build(config: Config, application: FastifyPluginAsync): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: config.BODY_LIMIT,
    logger: { level: config.LOG_LEVEL },
    // Metrics count requests, the log says what went wrong. One line per request would be a second, more expensive
    // count.
    logController: new LogController({ disableRequestLogging: true }),
    // Wrong types and unknown fields are refused, not repaired.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    // Opening the database has time limits of its own: another process may migrate first, and PostgreSQL may recover
    // from a crash.
    pluginTimeout: 0,
    // Fastify's own answer has no code; plugins/closing.ts gives ours.
    return503OnClosing: false,
  })
  app.decorate('config', config)
  try {
    await app.register(application)
  } catch (error) {
    await app.close()
    throw error
  }
  return app
}
