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
import { inspect } from './processes.ts'

const execute = promisify(execFile)

/** What `postmaster.pid` says, where it is true. */
export interface Occupant {
  pid: number
  port: number
  isReady: boolean
  /** Whether the process that started it lives; unknown starters, such as an administrator, count as living. */
  hasOwner: boolean
}

const PASSWORD_FILE = 'superuser.password'

/** The setting by which a server carries the pid of its owner; PostgreSQL accepts any setting with a dot in its name. */
export const OWNER_SETTING = 'data20.owner'

/**
 * Makes a data directory with one superuser, `postgres`, and a random password that only the owner of the directory can read.
 * It is made beside its place and renamed, so a killed run leaves no half of one.
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
  // A process that ends meanwhile takes it with it, unless it is killed.
  const abandon = () => {
    making?.child.kill('SIGKILL')
    rmSync(staging, { recursive: true, force: true })
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
      // Another process was faster, and its directory is as good as ours.
      if (!existsSync(join(directory, 'PG_VERSION'))) throw error
    }
  } finally {
    process.off('exit', abandon)
    rmSync(staging, { recursive: true, force: true })
  }
}

/** The address of a server on this directory. A directory that this package did not make has no password file. */
export function addressOf(directory: string, port: number): string {
  const file = join(directory, PASSWORD_FILE)
  const password = existsSync(file) ? `:${readFileSync(file, 'utf8')}` : ''
  return `postgres://postgres${password}@127.0.0.1:${port}/postgres`
}

/**
 * The server that runs on this directory. `postmaster.pid` outlives a kill and the machine, and its number may by now belong to any
 * process; what counts is a process that is `postgres` and stands in this directory. A file that proves false is removed, since
 * PostgreSQL itself would refuse to start as long as a process of that number lives.
 */
export function findOccupant(directory: string): Occupant | undefined {
  const file = join(directory, 'postmaster.pid')
  if (!existsSync(file)) return undefined
  // Lines: pid, data directory, start time, port, socket directory, address, shared memory, status.
  const lines = readFileSync(file, 'utf8').split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid < 1) return undefined // A server is writing it.
  const facts = inspect(pid)
  if (facts === 'unknown') return undefined // Another user's, so nothing that we may judge: PostgreSQL decides.

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
    // A process whose parent ends gets another parent, so no process that reuses the owner's number is taken for it.
    hasOwner: owner === undefined || facts.parent === Number(owner),
  }
}
