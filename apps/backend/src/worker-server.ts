/**
 * A worker process: executes queued runs, and serves `/metrics` and `/health`. `node
 * apps/backend/dist/worker-server.js`.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import { listenOn, runProcess } from './process.ts'

/** When the default port is taken, by a second worker process on the same machine, a free one is used. */
const DEFAULT_PORT = 8002

await runProcess({
  load: () => import('./worker-app.ts'),
  async listen(app, config) {
    const url = await listen(app, config)
    const metrics = url === undefined ? '' : `\n    ${url}/metrics    what Prometheus sees of this process\n`
    return `
  Data20 executes queued runs on ${config.DOCS_DIR}
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
