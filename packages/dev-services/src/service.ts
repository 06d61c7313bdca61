/**
 * The life of a service: start, wait until it is ready, stop, kill, restart.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@data20/embedded-postgres'
import { endChild, isRunning, trackChild } from './process.ts'
import type { Tool } from './tools.ts'

/** A running service. It listens on the loopback interface, unless an environment variable names another one. */
export interface Service {
  /** The address. It stays the same across restarts. */
  readonly url: string
  /** The origin of the service, for a log line. */
  readonly source: string
  /** The pid, or `undefined` for a service that an environment variable names. */
  readonly pid: number | undefined
  /**
   * Stops the service and deletes its temporary data. Does nothing for a service that an environment variable names.
   */
  stop(): Promise<void>
  /** Sends SIGKILL and resolves when the process and its children have ended. Throws for a service that is not ours. */
  kill(): Promise<void>
  /**
   * Stops the service if it is running, and starts it on the same port and data. Throws for a service that is not ours.
   */
  restart(): Promise<void>
}

/** The way to start a service. */
export interface Launch {
  tool: Tool
  /** @default a free port */
  port?: number
  args(port: number): string[]
  url(port: number): string
  isReady(port: number): Promise<boolean>
  /** Called after `stop`, or after a failed start. */
  dispose?(): void
}

const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 5_000

/**
 * Starts a command as a service and resolves when it is ready. Throws with its last output if it ends or hangs instead.
 */
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
      // The answer counts only while our process is running: another program may listen on the same port.
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

/** Returns a service that an environment variable names. It is not ours to stop or kill. */
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
