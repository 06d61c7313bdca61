/**
 * The process: reads the configuration, listens, and closes gracefully.
 *
 * @module
 */
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { ConfigError, readConfig } from './config.ts'

/** Close is given up after as long; whoever stopped the process waits for five seconds. */
const CLOSE_TIMEOUT_MS = 4000
/** Connections that are still busy then are cut. */
const CUT_AFTER_MS = 2500

// Until the application is there, a signal has nothing to close.
let onSignal = (): unknown => process.exit(0)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => onSignal())

try {
  const config = readConfig()
  const app = await buildApp(config)

  const { close, uninstall } = closeWithGrace(
    { delay: CLOSE_TIMEOUT_MS, logger: app.log, skip: ['SIGINT', 'SIGTERM'] },
    async ({ err }) => {
      if (err) app.log.fatal({ err }, 'closing after an error')
      else app.log.info('closing')
      setTimeout(() => app.server.closeAllConnections(), CUT_AFTER_MS).unref()
      await app.close()
    },
  )
  // npm and the terminal may both deliver the same Ctrl-C, which close-with-grace takes for impatience: the first counts.
  let isClosing = false
  onSignal = () => {
    if (!isClosing) close()
    isClosing = true
  }

  await app.listen({ port: config.PORT, host: config.HOST }).catch(async (error: NodeJS.ErrnoException) => {
    uninstall()
    await app.close()
    throw listenError(error, config)
  })
  const { port } = app.server.address() as { port: number }
  const url = `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${port}`
  console.log(`
  Data20 serves ${config.DOCS_DIR}

    ${url}/           what this is
    ${url}/docs       the API, to try in the browser
    ${url}/metrics    what Prometheus sees, your own requests included

  Ctrl-C stops it.
`)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.error(error.message)
  process.exitCode = 1
}

function listenError(error: NodeJS.ErrnoException, { PORT, HOST }: { PORT: number; HOST: string }): Error {
  const { code } = error
  if (code === 'EADDRINUSE') return new ConfigError(`PORT ${PORT} is in use on ${HOST}; set PORT to another one`)
  if (code === 'EACCES')
    return new ConfigError(`PORT ${PORT} may not be listened on by this user; set PORT to one above 1023`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new ConfigError(`HOST ${HOST} is no address of this machine`)
  return error
}
