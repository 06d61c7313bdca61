/**
 * The process that works off queued runs and serves nothing but `/metrics` and `/health`: `pnpm --filter backend worker`.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import { listenOn, runProcess } from './process.ts'

/** The port that is not insisted on: a second worker on the same machine takes a free one. */
const DEFAULT_PORT = 8002

await runProcess({
  load: async () => (await import('./worker-app.ts')).buildWorkerApp,
  async listen(app, config) {
    const url = await listen(app, config)
    const metrics = url === undefined ? '' : `\n    ${url}/metrics    what Prometheus sees of this process\n`
    return `
  Data20 works off queued runs on ${config.DOCS_DIR}
${metrics}
  Ctrl-C stops it.
`
  },
})

async function listen(app: FastifyInstance, { HOST, METRICS_PORT }: Config): Promise<string | undefined> {
  if (METRICS_PORT === 0) {
    await app.ready()
    return undefined
  }
  return await listenOn(app, HOST, METRICS_PORT, 'METRICS_PORT').catch((error) => {
    if (METRICS_PORT !== DEFAULT_PORT || error.cause?.code !== 'EADDRINUSE') throw error
    return listenOn(app, HOST, 0, 'METRICS_PORT')
  })
}
