/**
 * A real PostgreSQL server for one process: initialized, started, found again after a kill, and stopped.
 * See docs/decisions/0012-embedded-postgresql.md.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Binaries, findBinaries, findServerUser, type ServerUser } from './binaries.ts'
import { addressOf, findOccupant, initialize, OWNER_SETTING } from './cluster.ts'
import { PostgresServerError } from './errors.ts'
import type { PostgresOptions } from './options.ts'
import { childrenOf, hasEnded, haveEnded, signal } from './processes.ts'

/** A running server on the loopback interface. */
export interface PostgresServer {
  /**
   * `postgres://postgres:<password>@127.0.0.1:<port>/postgres`, as the superuser. It stays the same across restarts.
   */
  readonly url: string
  /** The origin of the server, for a log line. */
  readonly source: string
  /** The pid of the postmaster. */
  readonly pid: number
  /** True if the server belongs to another live process, which started it on the same directory first. */
  readonly isShared: boolean
  /**
   * Stops the server in less than 5 seconds: by a fast shutdown, and after 4 seconds by an immediate one, which loses
   * nothing but makes the next start slower. A shared server keeps running for its owner.
   */
  stop(): Promise<void>
  /** Sends SIGKILL to the postmaster and its children, and resolves when all have ended. Throws for a shared server. */
  kill(): Promise<void>
  /** Stops the server if it is running, and starts it on the same port and directory. Throws for a shared server. */
  restart(): Promise<void>
}

interface Running {
  pid: number
  port: number
  child?: ChildProcess
}

/** Long enough for crash recovery. A start without it takes a tenth of a second. */
const START_TIMEOUT_MS = 60_000
const FAST_SHUTDOWN_MS = 4_000
const IMMEDIATE_SHUTDOWN_MS = 700

/** PostgreSQL's messages when another server, or the last backends of a killed one, are still using the directory. */
const DIRECTORY_IN_USE = /lock file .* already exists|lock file .* is empty|still in use/

/** PostgreSQL's messages when the port is in use. */
const PORT_IN_USE = /could not bind|could not create any TCP/

/** The servers of this process. They end when it exits, unless it is killed itself. */
const children: Set<ChildProcess> = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGINT')
})

/**
 * Starts PostgreSQL on a data directory and resolves when it accepts connections: after 0.1 s, or 1.5 s if the
 * directory has to be created.
 *
 * A server left over by a killed process is replaced by a new one on the same port, so clients that know the address
 * reconnect. A server whose owner is alive is shared, with the settings of its owner. The process named by
 * `postmaster.pid` is signalled only if it is a PostgreSQL server on this very directory.
 *
 * Throws `PostgresUnavailableError` if there is no PostgreSQL to run, and `PostgresServerError` if it does not start.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const directory = resolve(options.directory)
  const { durable = true } = options

  const binaries = await findBinaries(directory)
  const user = await findServerUser(directory)
  if (!existsSync(join(directory, 'PG_VERSION'))) await initialize(directory, binaries, user, durable)

  let running = await start(options.port)
  const url = addressOf(directory, running.port)

  return {
    url,
    source: `PostgreSQL ${binaries.major} of ${binaries.folder}`,
    get pid() {
      return running.pid
    },
    get isShared() {
      return running.child === undefined
    },
    async stop() {
      if (running.child) await shutDown(running.pid, running.child)
    },
    async kill() {
      expectOwn('kill')
      await killAll(running.pid, running.child)
    },
    async restart() {
      expectOwn('restart')
      await shutDown(running.pid, running.child)
      running = await start(running.port)
    },
  }

  async function start(port?: number): Promise<Running> {
    const deadline = Date.now() + START_TIMEOUT_MS
    let wantedPort = port
    for (;;) {
      const occupant = findOccupant(directory)
      if (occupant?.hasOwner && occupant.isReady) return { pid: occupant.pid, port: occupant.port }
      if (occupant && !occupant.hasOwner) {
        await shutDown(occupant.pid)
        wantedPort ??= occupant.port
      }
      if (!occupant?.hasOwner) {
        const tryPort = wantedPort ?? (await freePort())
        const result = await launch(directory, tryPort, binaries, user, options)
        if (typeof result !== 'string') return { pid: result.pid!, port: tryPort, child: result }
        const mayRetry = DIRECTORY_IN_USE.test(result) || (port === undefined && PORT_IN_USE.test(result))
        if (!mayRetry || Date.now() > deadline) {
          throw new PostgresServerError(`PostgreSQL did not start on ${directory}: ${result.slice(-600)}`)
        }
        // Reusing the port of a left-over server is a courtesy: another program may have taken it meanwhile.
        if (port === undefined) wantedPort = undefined
      }
      if (Date.now() > deadline)
        throw new PostgresServerError(`The server on ${directory} is not ready after ${START_TIMEOUT_MS} ms`)
      await sleep(100)
    }
  }

  function expectOwn(verb: string): void {
    if (running.child) return
    throw new PostgresServerError(
      `Expected to ${verb} a server of this process, got pid ${running.pid}, which another process owns`,
    )
  }
}

/** Resolves to the server when it accepts connections, or to its last messages if it ended instead. */
async function launch(
  directory: string,
  port: number,
  { folder }: Binaries,
  { prefix, uid, gid }: ServerUser,
  { maxConnections = 100, durable = true, log = () => {} }: PostgresOptions,
): Promise<ChildProcess | string> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: maxConnections,
    [OWNER_SETTING]: process.pid,
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  }
  const [command, ...args] = [
    ...[...prefix, join(folder, 'postgres'), '-D', directory, '-p', String(port)],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  // Detached into its own session: Ctrl-C in a terminal reaches the application only, which closes and then stops its
  // database.
  const child = spawn(command!, args, { uid, gid, cwd: '/', detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'close').catch(() => {})
  children.add(child)
  child.once('close', () => children.delete(child))

  let tail = ''
  createInterface({ input: child.stderr! }).on('line', (line) => {
    tail = `${tail}${line}\n`.slice(-4_000)
    log(line)
  })

  const deadline = Date.now() + START_TIMEOUT_MS
  while (child.pid !== undefined && child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const occupant = findOccupant(directory)
    if (occupant?.pid === child.pid && occupant.isReady) return child
    await sleep(10)
  }
  child.kill('SIGQUIT')
  await exited
  return tail || `${command} could not be run`
}

async function shutDown(pid: number, child?: ChildProcess): Promise<void> {
  if (!hasEnded(pid)) {
    signal(pid, 'SIGINT')
    if (!(await haveEnded([pid], FAST_SHUTDOWN_MS))) {
      signal(pid, 'SIGQUIT')
      if (!(await haveEnded([pid], IMMEDIATE_SHUTDOWN_MS))) await killAll(pid)
    }
  }
  await reaped(child)
}

async function killAll(pid: number, child?: ChildProcess): Promise<void> {
  if (!hasEnded(pid)) {
    const pids = [pid, ...childrenOf(pid)]
    // The postmaster first, or it would restart its children.
    for (const each of pids) signal(each, 'SIGKILL')
    if (!(await haveEnded(pids, START_TIMEOUT_MS)))
      throw new PostgresServerError(`SIGKILL did not end ${pids.join(', ')}`)
  }
  await reaped(child)
}

/** Waits until Node.js has reaped a child that ended. It keeps its pid until then. */
async function reaped(child?: ChildProcess): Promise<void> {
  if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** Returns a port of the loopback interface that is free at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return (address as { port: number }).port
}

export { PostgresServerError, PostgresUnavailableError } from './errors.ts'
export type { PostgresOptions } from './options.ts'
