/**
 * Runs an application as a process: starts it, listens, prints the address, and shuts down gracefully.
 *
 * @module
 */
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Config } from './config.ts'
import { ConfigError } from './errors.ts'

/** An application and its address. */
export interface ProcessOptions {
  /** Imports the application, which takes a second. Signals are handled and the configuration is checked before. */
  load(): Promise<{ default: FastifyPluginAsync }>
  /** Resolves when the application listens, to the message for the standard output. */
  listen(app: FastifyInstance, config: Config): Promise<string>
}

/**
 * Time to close, beyond what queued runs have to finish. The process then exits. Supervisors commonly wait for five
 * seconds and more.
 */
const CLOSE_TIMEOUT_MS = 3200
/** Connections that are still busy after this time are cut, which leaves time to close the database. */
const CUT_AFTER_MS = 2000
/** Time that a start has to finish after a signal. The process then exits. */
const START_TIMEOUT_MS = 3000

/**
 * Runs the process until it is stopped. SIGINT and SIGTERM end it with code 0, and with it everything that it started.
 * A setting that cannot work ends it with code 1 and one line on the standard error.
 */
export async function runProcess({ load, listen }: ProcessOptions): Promise<void> {
  let isStopped = false
  // An application cannot be closed while it starts. It is closed as soon as it has started.
  let onSignal = (): void => {
    setTimeout(() => process.exit(0), START_TIMEOUT_MS).unref()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // npm and the terminal may both deliver the same Ctrl-C. close-with-grace exits at once on a second signal: only
      // the first counts.
      if (!isStopped) onSignal()
      isStopped = true
    })
  }

  try {
    const { readConfig } = await import('./config.ts')
    const config = readConfig()
    const [{ default: application }, { build }] = await Promise.all([load(), import('./build.ts')])
    // Nothing has started yet.
    if (isStopped) process.exit(0)
    const app = await build(config, application)
    const { close, uninstall } = closeWithGrace(
      { delay: config.CLOSE_GRACE_MS + CLOSE_TIMEOUT_MS, logger: app.log, skip: ['SIGINT', 'SIGTERM'] },
      async ({ err }) => {
        if (err) app.log.fatal({ err }, 'closing after an error')
        else app.log.info('closing')
        setTimeout(() => app.server.closeAllConnections(), CUT_AFTER_MS).unref()
        await app.close()
      },
    )
    onSignal = close
    if (isStopped) return close()

    const message = await listen(app, config).catch(async (error) => {
      uninstall()
      await app.close()
      throw error
    })
    console.log(message)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}

/** Listens, and resolves to the URL. Throws a {@link ConfigError} that names the variable. */
export async function listenOn(
  app: FastifyInstance,
  host: string,
  port: number,
  portVariable: 'PORT' | 'METRICS_PORT',
): Promise<string> {
  await app.listen({ port, host }).catch((error: NodeJS.ErrnoException) => {
    throw listenError(error, host, port, portVariable)
  })
  const address = app.server.address() as { port: number }
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number, portVariable: string): Error {
  const options = { cause: error }
  switch (error.code) {
    case 'EADDRINUSE':
      return new ConfigError(
        `${portVariable} ${port} is in use on ${host}; set ${portVariable} to another port`,
        options,
      )
    case 'EACCES':
      return new ConfigError(
        `${portVariable} ${port} needs privileges; set ${portVariable} to a port above 1023`,
        options,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(`HOST ${host} is not an address of this machine`, options)
    default:
      return error
  }
}
