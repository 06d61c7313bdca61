/**
 * Fetches and unpacks Debian packages without installing them.
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDirectory, withLock } from './cache.ts'
import { ToolUnavailableError } from './errors.ts'

const execute = promisify(execFile)

export interface FetchOptions {
  /** @default the Debian release of this machine */
  suite?: string
  /** Also fetches missing libraries. They only match the release of this machine. */
  withLibraries?: boolean
}

interface Archive {
  address: string
  suite: string
  components: string[]
}

/** The paths of a package that are kept. */
const KEPT = ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/libexec', 'usr/share/mysql', 'usr/share/prometheus', 'lib']

/** Package lists younger than this are reused. */
const LISTS_TTL_MS = 3_600_000

/**
 * Unpacks the first of the packages that the suite contains, and resolves to the folder that stands for `/`. Each
 * package is fetched once per machine, from the archive in the machine's apt sources. Nothing is installed, and root is
 * not required. A line on stderr reports the download. Concurrent processes wait for the one that fetches. Throws
 * {@link ToolUnavailableError}.
 */
export async function fetchDebianPackage(names: string[], options: FetchOptions = {}): Promise<string> {
  const suite = options.suite ?? osRelease('VERSION_CODENAME') ?? 'own'
  const folder = join(cacheDirectory(), 'debian', `${suite}-${process.arch}`)
  const find = () => names.map((name) => join(folder, name)).find((root) => existsSync(root))
  const found = find()
  if (found) return found
  const archive = await findArchive(names, options.suite)
  return withLock(join(folder, '.lock'), async () => find() ?? (await fetchInto(folder, archive, names, options)))
}

async function fetchInto(folder: string, archive: Archive, names: string[], options: FetchOptions): Promise<string> {
  const began = Date.now()
  process.stderr.write(`dev-services: fetching ${names.join(' or ')} from Debian ${archive.suite} into ${folder}\n`)
  // We hold the lock, so an existing staging folder was left by a killed process.
  const staging = join(folder, '.staging')
  rmSync(staging, { recursive: true, force: true })
  const downloads = join(staging, 'archives')
  mkdirSync(join(downloads, 'partial'), { recursive: true })
  try {
    const apt = await prepareApt(folder, downloads, archive)
    const name = await download(apt, downloads, names, options)
    const unpacked = join(staging, 'unpacked')
    for (const file of readdirSync(downloads).filter((entry) => entry.endsWith('.deb'))) {
      await execute('dpkg', ['-x', join(downloads, file), unpacked])
    }
    const root = join(staging, 'root')
    for (const path of KEPT.filter((kept) => existsSync(join(unpacked, kept)))) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      renameSync(join(unpacked, path), join(root, path))
    }
    if (name === 'prometheus-alertmanager') readTemplatesFromWorkingDirectory(root)
    // The rename makes it visible atomically.
    renameSync(root, join(folder, name))
    process.stderr.write(`dev-services: fetched ${name} in ${((Date.now() - began) / 1000).toFixed(1)} s\n`)
    return join(folder, name)
  } catch (cause) {
    throw new ToolUnavailableError(
      `${names.join(' or ')} could not be fetched from Debian ${archive.suite}: install it on PATH, or check that apt-get update works (${lastLine(cause)})`,
      { cause },
    )
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

async function download(apt: NodeJS.ProcessEnv, cwd: string, names: string[], options: FetchOptions): Promise<string> {
  const failures: unknown[] = []
  for (const name of names) {
    const args = options.withLibraries
      ? ['install', '--yes', '--download-only', '--no-install-recommends', name]
      : ['download', name]
    try {
      await execute('apt-get', ['--quiet', ...args], { env: apt, cwd })
      return name
    } catch (error) {
      failures.push(error)
    }
  }
  throw failures[0]
}

/** Prepares a private apt configuration that knows one archive and writes only to our folder. */
async function prepareApt(folder: string, downloads: string, archive: Archive): Promise<NodeJS.ProcessEnv> {
  const home = join(folder, '.apt')
  const file = join(home, 'apt.conf')
  const lists = join(home, 'lists')
  mkdirSync(join(lists, 'partial'), { recursive: true })
  // `Acquire` contains the machine's proxies and certificates. Its index targets are for desktop software.
  const { stdout } = await execute('apt-config', ['dump'])
  const acquire = stdout.split('\n').filter((line) => /^Acquire::(?!IndexTargets)/.test(line))
  const keyring = `/usr/share/keyrings/${osRelease('ID')}-archive-keyring.gpg`
  const signedBy = existsSync(keyring) ? `[signed-by=${keyring}] ` : ''
  const source = `deb ${signedBy}${archive.address} ${archive.suite} ${archive.components.join(' ')}\n`
  writeFileSync(join(home, 'sources.list'), source)
  const settings = {
    'Dir::Etc::main': '-',
    'Dir::Etc::parts': '-',
    'Dir::Etc::preferences': '-',
    'Dir::Etc::preferencesparts': '-',
    'Dir::Etc::sourcelist': join(home, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': home,
    'Dir::State::lists': lists,
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': home,
    'Dir::Cache::archives': downloads,
    // The parsed lists would take 60 MB and save half a second.
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    'Dir::Log': home,
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '20',
    'Debug::NoLocking': 'true',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`)
  writeFileSync(file, `${[...acquire, ...lines].join('\n')}\n`)
  const environment = { ...process.env, APT_CONFIG: file, LC_ALL: 'C' }

  const stamp = join(home, 'updated')
  const isFresh = existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < LISTS_TTL_MS
  if (!isFresh) {
    await execute('apt-get', ['--quiet', '--error-on=any', 'update'], { env: environment })
    writeFileSync(stamp, '')
  }
  return environment
}

/** Finds the archive of the machine's own release, as apt reads it from both kinds of source files. */
async function findArchive(names: string[], suite?: string): Promise<Archive> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)'
  const { stdout } = await execute('apt-get', [
    'indextargets',
    '--no-release-info',
    '--format',
    format,
    'Created-By: Packages',
  ]).catch((cause) => {
    throw new ToolUnavailableError(
      `${names.join(' or ')} is not on PATH and apt-get is not here to fetch it: install it`,
      { cause },
    )
  })
  const targets = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
  const codename = osRelease('VERSION_CODENAME')
  const own = targets.find(([, release]) => release === codename) ?? targets[0]
  if (!own?.[2]) {
    throw new ToolUnavailableError(
      `${names.join(' or ')} is not on PATH and apt has no sources to fetch it from: install it`,
    )
  }
  const [address, release] = own as [string, string]
  const same = targets.filter((target) => target[0] === address && target[1] === release)
  return { address, suite: suite ?? release, components: [...new Set(same.map((target) => target[2]!))] }
}

function osRelease(name: string): string | undefined {
  if (!existsSync('/etc/os-release')) return undefined
  return new RegExp(`^${name}="?([^"\n]*)`, 'm').exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
}

/**
 * Patches the path of the default templates in Debian's Alertmanager: it opens them by an absolute path below
 * /usr/share and does not start without them. `/proc/self/cwd`, padded to the same length, names its working directory
 * instead, so nothing has to be installed or mounted.
 */
function readTemplatesFromWorkingDirectory(root: string): void {
  const file = join(root, 'usr/bin/prometheus-alertmanager')
  const installed = '/usr/share/prometheus/alertmanager'
  const binary = readFileSync(file)
  const replacement = Buffer.from('/proc/self/cwd'.padEnd(installed.length, '/.'))
  for (let at = binary.indexOf(installed); at !== -1; at = binary.indexOf(installed, at + 1))
    replacement.copy(binary, at)
  writeFileSync(file, binary)
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return (stderr || message).trim().split('\n').at(-1)!
}
