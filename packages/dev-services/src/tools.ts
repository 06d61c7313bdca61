/**
 * Finds and runs command line tools such as promtool.
 * @module
 */
import { type ExecFileException, execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fetchDebianPackage } from './debian.ts'
import { ToolUnavailableError } from './errors.ts'
import { trackChild } from './process.ts'

/** A command that can be spawned: `spawn(command, [...args, …], { env: { ...process.env, ...env }, cwd })`. */
export interface Tool {
  command: string
  /** Arguments that precede all others. */
  args: string[]
  /** Variables to add to the environment. */
  env: Record<string, string>
  /** The working directory, if the tool requires one. */
  cwd?: string
  /** The folder that stands for `/` to the tool, unless it is installed. */
  root?: string
  /** The origin of the tool, for a log line. */
  source: string
}

export interface ToolOptions {
  /**
   * The Debian release whose version to use: `bookworm`, `trixie`, or `sid`, which changes over time.
   * @default the tool on PATH, else the release of this machine
   */
  suite?: string
}

export interface ToolResult {
  /** The exit code, or `null` if a signal ended the process. */
  code: number | null
  stdout: string
  stderr: string
}

interface ToolSource {
  /** Names of the command on PATH. */
  commands: string[]
  /** Packages that contain the command, best first, with its path. */
  packages: Record<string, string>
  withLibraries?: boolean
}

export type ToolName =
  | 'alertmanager'
  | 'amtool'
  | 'docker-compose'
  | 'mariadbd'
  | 'prometheus'
  | 'promtool'
  | 'redis-server'

const SOURCES: Record<ToolName, ToolSource> = {
  alertmanager: {
    commands: ['alertmanager', 'prometheus-alertmanager'],
    packages: { 'prometheus-alertmanager': 'usr/bin/prometheus-alertmanager' },
  },
  amtool: { commands: ['amtool'], packages: { 'prometheus-alertmanager': 'usr/bin/amtool' } },
  // Compose v2, in Debian since trixie. Pass a suite: the command of this name on PATH is often version 1, in Python.
  'docker-compose': {
    commands: ['docker-compose'],
    packages: { 'docker-compose': 'usr/libexec/docker/cli-plugins/docker-compose' },
  },
  mariadbd: { commands: ['mariadbd'], packages: { 'mariadb-server-core': 'usr/sbin/mariadbd' }, withLibraries: true },
  prometheus: { commands: ['prometheus'], packages: { prometheus: 'usr/bin/prometheus' } },
  // A separate package since trixie.
  promtool: { commands: ['promtool'], packages: { promtool: 'usr/bin/promtool', prometheus: 'usr/bin/promtool' } },
  'redis-server': {
    commands: ['redis-server', 'valkey-server'],
    packages: { 'redis-server': 'usr/bin/redis-server', 'valkey-server': 'usr/bin/valkey-server' },
    withLibraries: true,
  },
}

/** Reads an exposition from standard input; exit code 0 with the number of families, or 1 with the reason on stderr. */
const OPENMETRICS_PARSER = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
try:
    print(len(list(text_string_to_metric_families(sys.stdin.buffer.read().decode('utf-8')))))
except Exception as error:
    sys.exit(f'{type(error).__name__}: {error}')
`

/**
 * Returns a tool from PATH, else from a Debian package that is unpacked into the cache. With an explicit suite PATH is
 * ignored. Throws {@link ToolUnavailableError}.
 */
export async function debianTool(name: ToolName, { suite }: ToolOptions = {}): Promise<Tool> {
  const { commands, packages, withLibraries } = SOURCES[name]
  const installed = suite === undefined ? which(commands) : undefined
  if (installed) return { command: installed, args: [], env: {}, source: installed }

  const root = await fetchDebianPackage(Object.keys(packages), { suite, withLibraries })
  const command = Object.values(packages)
    .map((file) => join(root, file))
    .find((file) => existsSync(file))
  if (!command)
    throw new ToolUnavailableError(
      `Expected ${name} in ${root}, which lacks it: delete that folder, or install ${name} on PATH`,
    )
  const templates = join(root, 'usr/share/prometheus/alertmanager')
  return {
    command,
    args: [],
    env: withLibraries ? { LD_LIBRARY_PATH: libraries(root) } : {},
    ...(existsSync(templates) ? { cwd: templates } : {}),
    root,
    source: command,
  }
}

export function alertmanager(options?: ToolOptions): Promise<Tool> {
  return debianTool('alertmanager', options)
}

export function amtool(options?: ToolOptions): Promise<Tool> {
  return debianTool('amtool', options)
}

export function prometheus(options?: ToolOptions): Promise<Tool> {
  return debianTool('prometheus', options)
}

export function promtool(options?: ToolOptions): Promise<Tool> {
  return debianTool('promtool', options)
}

/**
 * Returns the strict OpenMetrics parser of Prometheus' Python client, the one that Datadog's check uses. It reads an
 * exposition from standard input and exits with 0, or with 1 and the reason on stderr. Needs a `python3` on PATH.
 * Throws {@link ToolUnavailableError}.
 */
export async function openmetricsParser({ suite }: ToolOptions = {}): Promise<Tool> {
  const command = which(['python3'])
  if (!command) throw new ToolUnavailableError('The OpenMetrics parser needs python3, which is not on PATH: install it')
  const roots = await Promise.all(
    ['python3-prometheus-client', 'python3-decorator'].map((name) => fetchDebianPackage([name], { suite })),
  )
  const path = roots.map((root) => join(root, 'usr/lib/python3/dist-packages')).join(delimiter)
  // Without -B Python writes bytecode next to the files of the cache.
  return { command, args: ['-B', '-c', OPENMETRICS_PARSER], env: { PYTHONPATH: path }, source: roots[0]! }
}

const RUN_TIMEOUT_MS = 300_000

/**
 * Runs a tool until it exits, and sends SIGKILL after five minutes. A non-zero exit code is a result; rejects only if
 * the tool cannot be started.
 */
export function runTool(
  tool: Tool,
  args: string[] = [],
  { input, cwd = tool.cwd }: { input?: string; cwd?: string } = {},
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string) => {
      if (error && typeof error.code === 'string') reject(error)
      else resolve({ code: error ? ((error.code as number | undefined) ?? null) : 0, stdout, stderr })
    }
    const options = {
      cwd,
      env: { ...process.env, ...tool.env },
      maxBuffer: 64 * 1024 * 1024,
      timeout: RUN_TIMEOUT_MS,
      killSignal: 'SIGKILL' as const,
    }
    const child = execFile(tool.command, [...tool.args, ...args], options, done)
    trackChild(child)
    const { stdin } = child
    stdin?.on('error', () => {}) // A tool may exit before it has read all of its input.
    stdin?.end(input)
  })
}

/** A tap test, or anything else that can report a skipped assertion. */
export interface Skippable {
  pass(message: string, extra: { skip: boolean }): unknown
}

/**
 * Resolves to the result of `get`. If the tool is unavailable, the test is skipped on a developer's machine, with the
 * sentence that says what to do, and gets `undefined`. In CI, where `CI` is set, the test fails with that sentence.
 */
export async function toolOrSkip<Result>(t: Skippable, get: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await get()
  } catch (error) {
    const { CI = '' } = process.env
    const isCI = CI !== '' && CI !== 'false' && CI !== '0'
    if (isCI || !(error instanceof ToolUnavailableError)) throw error
    t.pass(error.message, { skip: true })
    return undefined
  }
}

function which(names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file))
}

function libraries(root: string): string {
  const folders = ['usr/lib', 'lib'].map((path) => join(root, path)).filter((folder) => existsSync(folder))
  return folders
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('-linux-gnu'))
    .join(delimiter)
}
