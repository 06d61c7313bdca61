import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@data20/embedded-postgres'
import { endChild, isRunning, trackChild } from './process.ts'
import type { Tool } from './tools.ts'

/** A running service, on the loopback interface unless the environment named another. */
export interface Service {
  /** The address, the same over a restart. */
  readonly url: string
  /** Where the service comes from, for a log line. */
  readonly source: string
  /** The process, or `undefined` for a service that the environment named. */
  readonly pid: number | undefined
  /** Ends the service and deletes its data where they were temporary. A service that the environment named is left alone. */
  stop(): Promise<void>
  /** SIGKILL; resolves when the process and its children have ended. Throws for a service that the environment named. */
  kill(): Promise<void>
  /** Starts the service again on the same port and data, stopping it first if it runs. Throws for a service that the environment named. */
  restart(): Promise<void>
}

/** How a service is started. */
export interface Launch {
  tool: Tool
  /** @default one that is free */
  port?: number
  args(port: number): string[]
  url(port: number): string
  isReady(port: number): Promise<boolean>
  /** Called after the service was stopped for good. */
  dispose?(): void
}

const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 5_000

/** Starts a command as a service and resolves when it is ready. Throws with what it wrote last when it ends or hangs instead. */
export async function startService(launch: Launch): Promise<Service> {
  const { tool, isReady, dispose = () => {} } = launch
  const port = launch.port ?? (await freePort())
  let child: ChildProcess
  try {
    child = await start()
  } catch (error) {
    dispose()
    throw error
  }

  return {
    url: launch.url(port),
    source: tool.source,
    get pid() {
      return child.pid
    },
    async stop() {
      await end('SIGTERM')
      dispose()
    },
    kill: () => end('SIGKILL'),
    async restart() {
      await end('SIGTERM')
      child = await start()
    },
  }

  async function start(): Promise<ChildProcess> {
    const { command, args, env, cwd = tmpdir() } = tool
    const started = spawn(command, [...args, ...launch.args(port)], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let tail = ''
    const remember = (chunk: Buffer | string) => {
      tail = `${tail}${chunk}`.slice(-2_000)
    }
    started.stdout.on('data', remember)
    started.stderr.on('data', remember)
    trackChild(started)
    started.once('error', (error) => remember(error.message))

    const deadline = Date.now() + START_TIMEOUT_MS
    while (isRunning(started) && Date.now() < deadline) {
      // The answer counts only if it is our process that gave it, not another on the same port.
      if ((await isReady(port)) && isRunning(started)) return started
      await sleep(20)
    }
    await endChild(started, 'SIGKILL', STOP_TIMEOUT_MS)
    throw new Error(`${command} did not become ready on port ${port}: ${tail}`)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    await endChild(child, signal, STOP_TIMEOUT_MS)
  }
}

/** A service that the environment named: it belongs to somebody else. */
export function foreignService(url: string, variable: string): Service {
  const refuse = async (verb: string) => {
    throw new Error(
      `Expected to ${verb} a service of this process, got the one that ${variable} names: unset ${variable}`,
    )
  }
  return {
    url,
    source: variable,
    pid: undefined,
    stop: async () => {},
    kill: () => refuse('kill'),
    restart: () => refuse('restart'),
  }
}
