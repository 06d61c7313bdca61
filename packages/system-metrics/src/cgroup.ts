/**
 * The cgroup of a container or a service: memory and processor time, of version 1 and 2. A limit on any level above
 * counts. Usage is read on the level that sets the limit, since that is what the kernel compares with the limit.
 *
 * @module
 */
import path from 'node:path'
import { parseKey, readText } from './files.ts'

/** What the cgroup of this process says. A part is absent where it is not known. */
export interface Cgroup {
  /** Absent where there is no limit. */
  memory?: MemoryUsage & { limitBytes: number }
  cpu?: {
    /** Of the level that sets the limit, or of this process's own level without a limit. */
    usageSeconds?: number
    limit?: { cores: number; throttledSeconds: number }
  }
}

interface MemoryUsage {
  /** What the kernel cannot drop: at the limit it kills a process. */
  usedBytes: number
  /** Usage without the file pages that were not used lately: the working set of Kubernetes. */
  workingSetBytes: number
}

/** The places of the system's files. */
export interface CgroupRoots {
  /** The file that names the cgroups of the process. */
  self: string
  /** The folder in which cgroup version 2, or the controllers of version 1, are mounted. */
  mount: string
}

/** How a version of cgroups writes a resource. A level is a path below the mount, and `/` the outermost one. */
interface Controllers {
  memoryLimit(level: string): Promise<number | undefined>
  memoryUsage(level: string): Promise<MemoryUsage>
  /** Processors, `Infinity` without a limit, or `undefined` where there is no such level. */
  cpuLimit(level: string): Promise<number | undefined>
  cpuThrottledSeconds(level: string): Promise<number>
  cpuUsageSeconds(level: string): Promise<number | undefined>
}

const SYSTEM_ROOTS: CgroupRoots = { self: '/proc/self/cgroup', mount: '/sys/fs/cgroup' }
/** Version 1 writes no limit as the largest number of pages, a little less than 2^63 bytes. */
const UNLIMITED_BYTES = 2 ** 62

/** Reads a few small files per level. Nothing is cached, since a limit can change at run time. */
export async function readCgroup({ self, mount }: CgroupRoots = SYSTEM_ROOTS): Promise<Cgroup> {
  const memberships = (await readText(self)) ?? ''
  const [memory, cpu] = await Promise.all([readMemory(memberships, mount), readCpu(memberships, mount)])
  return { ...(memory && { memory }), ...(cpu && { cpu }) }
}

/** Returns the folders that version 2 can have for this process, innermost first; none without it. */
export async function findFolders({ self, mount }: CgroupRoots = SYSTEM_ROOTS): Promise<string[]> {
  const levels = levelsOf((await readText(self)) ?? '')
  // Beside the controllers of version 1, version 2 is mounted below them.
  return ['', 'unified'].flatMap((below) => levels.map((level) => path.join(mount, below, level)))
}

async function readMemory(memberships: string, mount: string): Promise<Cgroup['memory']> {
  for (const { controllers, levels } of hierarchiesOf(memberships, 'memory', mount)) {
    const smallest = await findSmallest(levels, controllers.memoryLimit)
    if (smallest) return { limitBytes: smallest.limit, ...(await controllers.memoryUsage(smallest.level)) }
  }
  return undefined
}

async function readCpu(memberships: string, mount: string): Promise<Cgroup['cpu']> {
  for (const { controllers, levels } of hierarchiesOf(memberships, 'cpu', mount)) {
    const smallest = await findSmallest(levels, controllers.cpuLimit)
    if (smallest === undefined) continue
    const { level, limit: cores } = smallest
    const usageSeconds = await controllers.cpuUsageSeconds(level)
    const usage = usageSeconds === undefined ? undefined : { usageSeconds }
    if (cores === Infinity) return usage
    return { ...usage, limit: { cores, throttledSeconds: await controllers.cpuThrottledSeconds(level) } }
  }
  return undefined
}

/** A machine can have both versions. Each controller is in one of them, and the other has no files of it. */
function hierarchiesOf(
  memberships: string,
  controller: string,
  mount: string,
): Array<{ controllers: Controllers; levels: string[] }> {
  return [
    { controllers: version2(mount), levels: levelsOf(memberships) },
    { controllers: version1(mount), levels: levelsOf(memberships, controller) },
  ]
}

/**
 * Returns the level of this process and those above it, innermost first: in the hierarchy of a controller of version 1,
 * or in that of version 2. Returns none where there is no such hierarchy.
 */
function levelsOf(memberships: string, controller?: string): string[] {
  // The line of version 2 has number 0 and names no controller.
  const line = controller === undefined ? '^0:' : `^\\d+:(?:[^:\\n]*,)?${controller}(?:,[^:\\n]*)?`
  const own = new RegExp(`${line}:(/.*)$`, 'm').exec(memberships)?.[1]
  if (own === undefined) return []
  const levels: string[] = []
  // In a cgroup namespace, the path of a cgroup outside of it begins with `/..`, which `normalize` turns into the root.
  // In a container without one, the path is that of the machine, and only the last level is mounted: as the root.
  for (let level = path.posix.normalize(own); level !== '/'; level = path.posix.dirname(level)) levels.push(level)
  return [...levels, '/']
}

/** Returns the level with the smallest limit: of equal ones the outermost, which has the larger usage. */
async function findSmallest(
  levels: string[],
  readLimit: (level: string) => Promise<number | undefined>,
): Promise<{ level: string; limit: number } | undefined> {
  let smallest: { level: string; limit: number } | undefined
  for (const level of levels) {
    const limit = await readLimit(level)
    if (limit === undefined) continue
    // Where none is limited, the innermost level is the one of this process.
    if (smallest === undefined || (limit <= smallest.limit && limit !== Infinity)) smallest = { level, limit }
  }
  return smallest
}

function version2(mount: string): Controllers {
  return {
    async memoryLimit(level) {
      const text = await readText(mount, level, 'memory.max')
      return text === undefined || text === 'max' ? undefined : Number(text)
    },
    async memoryUsage(level) {
      const stat = await readText(mount, level, 'memory.stat')
      return usageOf(await readText(mount, level, 'memory.current'), (key) => parseKey(stat, key) ?? 0)
    },
    async cpuLimit(level) {
      const text = await readText(mount, level, 'cpu.max')
      if (text === undefined) return undefined
      const [quota, period] = text.split(' ')
      return quota === 'max' ? Infinity : Number(quota) / Number(period)
    },
    async cpuThrottledSeconds(level) {
      return (parseKey(await readText(mount, level, 'cpu.stat'), 'throttled_usec') ?? 0) / 1e6
    },
    async cpuUsageSeconds(level) {
      const microseconds = parseKey(await readText(mount, level, 'cpu.stat'), 'usage_usec')
      return microseconds === undefined ? undefined : microseconds / 1e6
    },
  }
}

/** Each controller is a folder below the mount, or a link to the folder of several. */
function version1(mount: string): Controllers {
  return {
    async memoryLimit(level) {
      const own = await readText(mount, 'memory', level, 'memory.limit_in_bytes')
      if (own === undefined) return undefined
      // The levels above are often not mounted in a container. This is the smallest limit of all of them.
      const stat = await readText(mount, 'memory', level, 'memory.stat')
      const limit = Math.min(Number(own), parseKey(stat, 'hierarchical_memory_limit') ?? Infinity)
      return limit < UNLIMITED_BYTES ? limit : undefined
    },
    async memoryUsage(level) {
      const stat = await readText(mount, 'memory', level, 'memory.stat')
      const current = await readText(mount, 'memory', level, 'memory.usage_in_bytes')
      // With the levels below, as the usage is.
      return usageOf(current, (key) => parseKey(stat, `total_${key}`) ?? 0)
    },
    async cpuLimit(level) {
      const quota = await readText(mount, 'cpu', level, 'cpu.cfs_quota_us')
      if (quota === undefined) return undefined
      const period = await readText(mount, 'cpu', level, 'cpu.cfs_period_us')
      return Number(quota) < 0 ? Infinity : Number(quota) / Number(period)
    },
    async cpuThrottledSeconds(level) {
      return (parseKey(await readText(mount, 'cpu', level, 'cpu.stat'), 'throttled_time') ?? 0) / 1e9
    },
    async cpuUsageSeconds(level) {
      const nanoseconds = await readText(mount, 'cpuacct', level, 'cpuacct.usage')
      return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1e9
    },
  }
}

/** Returns what of the usage counts. `keyOf` returns a number of memory.stat. */
function usageOf(current: string | undefined, keyOf: (key: string) => number): MemoryUsage {
  const bytes = Number(current)
  const inactive = keyOf('inactive_file')
  // The kernel drops these before it kills a process, as it does for `MemAvailable` of the machine.
  const reclaimable = inactive + keyOf('active_file') + keyOf('slab_reclaimable')
  return { usedBytes: Math.max(0, bytes - reclaimable), workingSetBytes: Math.max(0, bytes - inactive) }
}
