/**
 * Starts Node.js programs as users run them, and ends every child process within a bounded time.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { type TearDown, temporaryFolder } from './temporary.ts'

export interface ProcessOptions {
  /**
   * The whole environment of the program; nothing else is inherited.
   * @default PATH
   */
  env?: Record<string, string | undefined>
  /** @default a temporary folder that the teardown deletes */
  cwd?: string
  /** Command line arguments after the file. */
  args?: string[]
  /**
   * How long the process may take to end after a signal before it gets SIGKILL.
   * @default 15000
   */
  endTimeoutMs?: number
}

/** A running program. */
export interface StartedProcess {
  child: ChildProcess
  /** Everything that it has written so far. */
  output: { stdout: string; stderr: string }
  /** Resolves to the exit code, or to `null` if a signal ended the process. Its output is complete by then. */
  exited: Promise<number | null>
  /**
   * Sends a signal and resolves to the exit code. A process that is still running after `endTimeoutMs` gets SIGKILL,
   * and the promise rejects with what the process wrote.
   */
  end(signal?: NodeJS.Signals): Promise<number | null>
}

const END_TIMEOUT_MS = 15_000

/** The child processes of this process. They get SIGKILL when it exits, unless it is killed itself. */
const children: Set<ChildProcess> = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/**
 * Starts a JavaScript file with this Node.js as a user does, without the test runner's hooks. The teardown sends SIGTERM,
 * waits for at most `endTimeoutMs`, and then sends SIGKILL.
 */
export function startProcess(t: TearDown, file: string, options: ProcessOptions = {}): StartedProcess {
  const { env = {}, cwd = temporaryFolder(t, 'process'), args = [], endTimeoutMs = END_TIMEOUT_MS } = options
  const variables = Object.entries({ PATH: process.env.PATH, ...env }).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${value}`,
  )
  // tap patches `spawn` and adds its loader to NODE_OPTIONS, even to an environment that we pass. `env -i` drops that and
  // replaces itself with Node.js, so the process id and the signals are the program's own.
  const child = spawn('env', ['-i', ...variables, process.execPath, file, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  trackChild(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text
  })
  const exited = waitForExit(child)
  exited.catch(() => {}) // A caller that never looks at it must not fail for that.
  t.teardown(() => endChild(child, 'SIGTERM', endTimeoutMs))
  return { child, output, exited, end }

  async function end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!(await endChild(child, signal, endTimeoutMs)))
      throw new Error(
        `Expected ${file} to end within ${endTimeoutMs} ms of ${signal}, sent SIGKILL: ${output.stdout}${output.stderr}`,
      )
    return exited
  }
}

/** Kills the child when this process exits. */
export function trackChild(child: ChildProcess): void {
  children.add(child)
  child.once('exit', () => children.delete(child)).once('error', () => {})
}

/**
 * Sends a signal, and SIGKILL if the child is still running after the timeout. Resolves when the child has exited: to `true` if
 * the first signal was enough.
 */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, timeoutMs: number): Promise<boolean> {
  if (!isRunning(child)) return true
  let wasKilled = false
  const exited = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => {
    wasKilled = true
    child.kill('SIGKILL')
  }, timeoutMs)
  await exited
  clearTimeout(timer)
  return !wasKilled
}

export function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}

async function waitForExit(child: ChildProcess): Promise<number | null> {
  const [code] = await once(child, 'exit')
  // `close` would be the end of the output, but a grandchild that keeps the pipes open delays it. What the process wrote is in
  // the pipes already, and one turn of the event loop reads more than they hold.
  for (let turns = 0; turns < 3; turns += 1) await turn()
  return code
}
