import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@data20/embedded-postgres'
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

/** The services of this process, ended with it unless it is killed. */
const children: Set<ChildProcess> = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

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
    const remember = (chunk: Buffer) => {
      tail = `${tail}${chunk}`.slice(-2_000)
    }
    started.stdout.on('data', remember)
    started.stderr.on('data', remember)
    children.add(started)
    started.once('close', () => children.delete(started)).once('error', remember)

    const deadline = Date.now() + START_TIMEOUT_MS
    while (isRunning(started) && Date.now() < deadline) {
      // The answer counts only if it is our process that gave it, not another on the same port.
      if ((await isReady(port)) && isRunning(started)) return started
      await sleep(20)
    }
    started.kill('SIGKILL')
    throw new Error(`${command} did not become ready on port ${port}: ${tail}`)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!isRunning(child)) return
    const exited = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
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

/** A test, as far as it cleans up. */
export interface TearDown {
  teardown(clean: () => unknown): unknown
}

/** A new folder, deleted after what the test tears down later on: a server that is started on it has ended by then. */
export function temporaryFolder(t: TearDown, name: string): string {
  const { directory, dispose } = temporaryDirectory(name)
  t.teardown(dispose)
  return directory
}

/** A new folder for data, and what deletes it. */
export function temporaryDirectory(name: string): { directory: string; dispose(): void } {
  const directory = mkdtempSync(join(tmpdir(), `data20-${name}-`))
  return { directory, dispose: () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }) }
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}
