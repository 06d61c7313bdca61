/**
 * The data directory: its creation, its address, and the server that is running on it.
 * @module
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Binaries, ServerUser } from './binaries.ts'
import { PostgresServerError } from './errors.ts'
import { descendantsOf, inspect, signal } from './processes.ts'

const execute = promisify(execFile)

/** The contents of `postmaster.pid`, verified. */
export interface Occupant {
  pid: number
  port: number
  isReady: boolean
  /**
   * True if the process that started the server is alive. An unknown owner, such as an administrator, counts as alive.
   */
  hasOwner: boolean
}

const PASSWORD_FILE = 'superuser.password'

/** The setting that holds the pid of the owner. PostgreSQL accepts any setting with a dot in its name. */
export const OWNER_SETTING = 'data20.owner'

/**
 * Creates a data directory with one superuser, `postgres`, and a random password that only the owner of the directory
 * can read. It is created next to its final place and renamed, so a killed process leaves no incomplete directory.
 */
export async function initialize(
  directory: string,
  binaries: Binaries,
  user: ServerUser,
  durable: boolean,
): Promise<void> {
  mkdirSync(dirname(directory), { recursive: true })
  const staging = `${directory}.new-${process.pid}`
  const data = join(staging, 'data')
  const password = join(staging, PASSWORD_FILE)
  mkdirSync(staging, { mode: 0o700 })
  let making: ReturnType<typeof execute> | undefined
  // If this process exits meanwhile, initdb ends and its directory is deleted. The server that initdb runs writes on
  // until it ends too, so it is killed, and deleting is tried again.
  const abandon = () => {
    const pid = making?.child.pid
    if (pid !== undefined) for (const one of [...descendantsOf(pid), pid]) signal(one, 'SIGKILL')
    rmSync(staging, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
  }
  process.once('exit', abandon)
  try {
    writeFileSync(password, randomBytes(24).toString('hex'), { mode: 0o600 })
    if (user.uid !== undefined) for (const path of [staging, password]) chownSync(path, user.uid, user.gid!)
    const [command, ...args] = [
      ...[...user.prefix, join(binaries.folder, 'initdb')],
      ...[
        '-D',
        data,
        '-U',
        'postgres',
        `--pwfile=${password}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
      ],
      ...(durable ? [] : ['--no-sync']),
    ]
    making = execute(command!, args, { uid: user.uid, gid: user.gid, cwd: '/' })
    await making.catch((cause: Error & { stderr?: string }) => {
      throw new PostgresServerError(`initdb did not make ${directory}: ${cause.stderr?.trim().slice(-400)}`, { cause })
    })
    renameSync(password, join(data, PASSWORD_FILE))
    try {
      renameSync(data, directory)
    } catch (error) {
      // Another process was faster. Its directory is equivalent.
      if (!existsSync(join(directory, 'PG_VERSION'))) throw error
    }
  } finally {
    process.off('exit', abandon)
    rmSync(staging, { recursive: true, force: true })
  }
}

/**
 * Returns the address of a server on this directory. A directory that this package did not create has no password file.
 */
export function addressOf(directory: string, port: number): string {
  const file = join(directory, PASSWORD_FILE)
  const password = existsSync(file) ? `:${readFileSync(file, 'utf8')}` : ''
  return `postgres://postgres${password}@127.0.0.1:${port}/postgres`
}

/**
 * Returns the server that is running on this directory. `postmaster.pid` survives a kill and a reboot, and its pid may
 * belong to any process by now, so only a process named `postgres` with this working directory counts. A stale file is
 * removed, since PostgreSQL would refuse to start while a process with that pid exists.
 */
export function findOccupant(directory: string): Occupant | undefined {
  const file = join(directory, 'postmaster.pid')
  if (!existsSync(file)) return undefined
  // Lines: pid, data directory, start time, port, socket directory, address, shared memory, status.
  const lines = readFileSync(file, 'utf8').split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid < 1) return undefined // A server is writing the file.
  const facts = inspect(pid)
  if (facts === 'unknown') return undefined // It belongs to another user and cannot be inspected: PostgreSQL decides.

  const isServer =
    facts !== 'dead' &&
    basename(facts.command[0] ?? '') === 'postgres' &&
    (facts.cwd === undefined ? facts.command.includes(directory) : facts.cwd === realpathSync(directory))
  if (!isServer) {
    rmSync(file, { force: true })
    return undefined
  }
  const owner = facts.command.find((argument) => argument.startsWith(`${OWNER_SETTING}=`))?.split('=')[1]
  return {
    pid,
    port: Number(lines[3]),
    isReady: lines[7]?.trim() === 'ready',
    // A process gets a new parent when its parent ends, so a process that reuses the owner's pid is not mistaken for
    // it.
    hasOwner: owner === undefined || facts.parent === Number(owner),
  }
}
