/**
 * The metrics that every process has: of the process, the machine, its requests and its tools. Other plugins add those
 * of what they own.
 *
 * @module
 */
import httpMetrics from '@data20/http-metrics'
import metricsCore from '@data20/metrics-core'
import systemMetrics from '@data20/system-metrics'
import toolMetrics from '@data20/tool-metrics'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { tools } from '../knowledge/tools/index.ts'
import { NAME, VERSION } from '../package.ts'

/** A broker or a database that is down delays a scrape by this much at most. */
const COLLECTOR_TIMEOUT_MS = 750

async function metrics(app: FastifyInstance): Promise<void> {
  const { METRICS_TOKEN, DOCS_DIR } = app.config

  await app.register(metricsCore, {
    app: { name: NAME, version: VERSION },
    collectorTimeoutMs: COLLECTOR_TIMEOUT_MS,
    ...(METRICS_TOKEN === '' ? {} : { auth: { bearer: METRICS_TOKEN } }),
  })
  await app.register(systemMetrics, { path: DOCS_DIR })
  await app.register(toolMetrics, { tools: [...tools.keys()] })
  // The pages of /docs are many files of one thing.
  await app.register(httpMetrics, { ignore: ['/docs/static/*'] })
}

export default fp(metrics, { name: 'metrics', fastify: '5.x', decorators: { fastify: ['config'] } })
