/**
 * What makes an application a process: it starts, listens, says so, and closes gracefully when it is told to.
 *
 * @module
 */
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'

/** An application and where it listens. */
export interface ProcessOptions {
  /** Loads the function that builds it, which takes a second: signals are listened to and the configuration is checked by then. */
  load(): Promise<(config: Config) => Promise<FastifyInstance>>
  /** Resolves when the application listens, to what is then written to the standard output. */
  listen(app: FastifyInstance, config: Config): Promise<string>
}

/** Closing is given up as long after the time that queued runs have; whoever stopped the process waits for five seconds. */
const CLOSE_TIMEOUT_MS = 2800
/** Connections that are still busy then are cut. */
const CUT_AFTER_MS = 2500
/** A start that does not end is given up as long after a signal. */
const START_TIMEOUT_MS = 3000

/**
 * Runs the process until it is stopped. SIGINT and SIGTERM end it with code 0 and everything that it started with it; a setting that
 * cannot work is one line on the standard error, and code 1.
 */
export async function runProcess({ load, listen }: ProcessOptions): Promise<void> {
  let isStopped = false
  // What is being started cannot be closed yet: it is when it is there.
  let onSignal = (): void => {
    setTimeout(() => process.exit(0), START_TIMEOUT_MS).unref()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // npm and the terminal may both deliver the same Ctrl-C, which close-with-grace takes for impatience: the first counts.
      if (!isStopped) onSignal()
      isStopped = true
    })
  }

  try {
    const { readConfig } = await import('./config.ts')
    const config = readConfig()
    const build = await load()
    // Nothing is started yet.
    if (isStopped) process.exit(0)
    const app = await build(config)
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

/** Listens, and resolves to the address as a person types it. Throws a {@link ConfigError} that names the variable. */
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
        `${portVariable} ${port} is in use on ${host}; set ${portVariable} to another one`,
        options,
      )
    case 'EACCES':
      return new ConfigError(
        `${portVariable} ${port} may not be listened on by this user; set ${portVariable} to one above 1023`,
        options,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(`HOST ${host} is no address of this machine`, options)
    default:
      return error
  }
}
