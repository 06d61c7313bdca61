/**
 * The limits that a container or a service runs under, from cgroup v2: memory and processor time. A limit on any level
 * above counts, and what is used is read on the level that sets the limit, since that is what the limit is compared with.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** What applies to this process; a part is absent where there is no limit. */
export interface Cgroup {
  memory?: { limitBytes: number; usedBytes: number }
  cpu?: { throttledSeconds: number }
}

/** Where the system keeps its files. */
export interface CgroupRoots {
  /** The file that names the cgroup of the process. */
  self: string
  /** The folder in which cgroup v2 is mounted. */
  mount: string
}

const SYSTEM_ROOTS: CgroupRoots = { self: '/proc/self/cgroup', mount: '/sys/fs/cgroup' }

/** Reads the limits: a few small files for each level, anew each time, since a limit can be changed while we run. */
export async function readCgroup(roots: CgroupRoots = SYSTEM_ROOTS): Promise<Cgroup> {
  const folders = await findFolders(roots)
  const cgroup: Cgroup = {}

  const memory = await findSmallest(folders, async (folder) => parseMemoryMax(await readText(folder, 'memory.max')))
  if (memory !== undefined) {
    const current = Number(await readText(memory.folder, 'memory.current'))
    // The kernel drops these pages before it ends a process; Kubernetes leaves them out in the same way.
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

/** The folder of the cgroup of this process and those above it, innermost first; none without cgroup v2. */
async function findFolders({ self, mount }: CgroupRoots): Promise<string[]> {
  // The line of version 2 has the number 0 and names no controller.
  const own = /^0::(\/.*)$/m.exec((await readText(self)) ?? '')?.[1]
  if (own === undefined) return []
  const folders: string[] = []
  // Seen from a namespace, a cgroup outside of it begins with `/..`, which `normalize` takes for the root.
  for (let level = path.posix.normalize(own); level !== '/'; level = path.posix.dirname(level)) {
    folders.push(path.join(mount, level))
  }
  return [...folders, mount]
}

/** The level with the smallest limit; of equal ones the outermost, where more is used. */
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

/** Bytes, or `max` where there is no limit. */
function parseMemoryMax(text: string | undefined): number | undefined {
  return text === undefined || text === 'max' ? undefined : Number(text)
}

/** `quota period` in microseconds, `max` for no quota: the processors that may be used. */
function parseCpuMax(text: string | undefined): number | undefined {
  if (text === undefined || text.startsWith('max')) return undefined
  const [quota, period] = text.split(' ').map(Number)
  return quota! / period!
}

/** The number of a key in a file of lines `key number`. */
function parseKey(text: string | undefined, key: string): number | undefined {
  const number = new RegExp(`^${key} (\\d+)$`, 'm').exec(text ?? '')?.[1]
  return number === undefined ? undefined : Number(number)
}

/** A file's text; `undefined` where there is no such file: the root has no limits, and a controller may be off. */
async function readText(...segments: string[]): Promise<string | undefined> {
  try {
    return (await readFile(path.join(...segments), 'utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Whether a file or folder is not there. */
export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}
