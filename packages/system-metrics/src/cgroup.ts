/**
 * The cgroup v2 limits of a container or a service: memory and processor time. A limit on any level above counts. Usage
 * is read on the level that sets the limit, since that is what the kernel compares with the limit.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** The limits of this process. A part is absent where there is no limit. */
export interface Cgroup {
  memory?: { limitBytes: number; usedBytes: number }
  cpu?: { throttledSeconds: number }
}

/** The places of the system's files. */
export interface CgroupRoots {
  /** The file that names the cgroup of the process. */
  self: string
  /** The folder in which cgroup v2 is mounted. */
  mount: string
}

const SYSTEM_ROOTS: CgroupRoots = { self: '/proc/self/cgroup', mount: '/sys/fs/cgroup' }

/** Reads the limits from a few small files per level. Nothing is cached, since a limit can change at run time. */
export async function readCgroup(roots: CgroupRoots = SYSTEM_ROOTS): Promise<Cgroup> {
  const folders = await findFolders(roots)
  const cgroup: Cgroup = {}

  const memory = await findSmallest(folders, async (folder) => parseMemoryMax(await readText(folder, 'memory.max')))
  if (memory !== undefined) {
    const current = Number(await readText(memory.folder, 'memory.current'))
    // The kernel drops these pages before it kills a process. Kubernetes leaves them out in the same way.
    const inactiveFile = parseKey(await readText(memory.folder, 'memory.stat'), 'inactive_file') ?? 0
    cgroup.memory = { limitBytes: memory.limit, usedBytes: Math.max(0, current - inactiveFile) }
  }

  const cpu = await findSmallest(folders, async (folder) => parseCpuMax(await readText(folder, 'cpu.max')))
  if (cpu !== undefined) {
    const microseconds = parseKey(await readText(cpu.folder, 'cpu.stat'), 'throttled_usec') ?? 0
    cgroup.cpu = { throttledSeconds: microseconds / 1e6 }
  }
  return cgroup
}

/** Returns the folders of this process's cgroup and of those above it, innermost first; none without cgroup v2. */
async function findFolders({ self, mount }: CgroupRoots): Promise<string[]> {
  // The line of version 2 has number 0 and names no controller.
  const own = /^0::(\/.*)$/m.exec((await readText(self)) ?? '')?.[1]
  if (own === undefined) return []
  const folders: string[] = []
  // In a cgroup namespace, the path of a cgroup outside of it begins with `/..`, which `normalize` turns into the root.
  for (let level = path.posix.normalize(own); level !== '/'; level = path.posix.dirname(level)) {
    folders.push(path.join(mount, level))
  }
  return [...folders, mount]
}

/** Returns the level with the smallest limit; of equal limits the outermost, which has the larger usage. */
async function findSmallest(
  folders: string[],
  readLimit: (folder: string) => Promise<number | undefined>,
): Promise<{ folder: string; limit: number } | undefined> {
  let smallest: { folder: string; limit: number } | undefined
  for (const folder of folders) {
    const limit = await readLimit(folder)
    if (limit !== undefined && limit <= (smallest?.limit ?? Infinity)) smallest = { folder, limit }
  }
  return smallest
}

/** Parses bytes. `max` means no limit. */
function parseMemoryMax(text: string | undefined): number | undefined {
  return text === undefined || text === 'max' ? undefined : Number(text)
}

/** Parses `quota period`, in microseconds, into a number of processors. `max` means no quota. */
function parseCpuMax(text: string | undefined): number | undefined {
  if (text === undefined || text.startsWith('max')) return undefined
  const [quota, period] = text.split(' ').map(Number)
  return quota! / period!
}

/** Returns the number of a key in a file of lines `key number`. */
function parseKey(text: string | undefined, key: string): number | undefined {
  const number = new RegExp(`^${key} (\\d+)$`, 'm').exec(text ?? '')?.[1]
  return number === undefined ? undefined : Number(number)
}

/** Reads a file. Returns `undefined` if it does not exist: the root has no limits, and a controller may be disabled. */
async function readText(...segments: string[]): Promise<string | undefined> {
  try {
    return (await readFile(path.join(...segments), 'utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Tells whether an error says that a file or folder does not exist. */
export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}
