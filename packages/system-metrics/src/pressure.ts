/**
 * Pressure stall information of the kernel: for how long tasks waited for a processor, for memory or for a disk. That
 * of the cgroup of this process where it has one of version 2, otherwise that of the machine.
 *
 * @module
 */
import { type CgroupRoots, findFolders } from './cgroup.ts'
import { readText } from './files.ts'
import type { Instruments } from './instruments.ts'
import { PRESSURE_KINDS, PRESSURE_RESOURCES } from './metrics.ts'
import type { Read } from './sampler.ts'
import { increase } from './values.ts'

type Resource = (typeof PRESSURE_RESOURCES)[number]
type Kind = (typeof PRESSURE_KINDS)[number]

/** Seconds since the source exists, by resource and kind; those that the kernel does not write are absent. */
export type Pressure = Partial<Record<Resource, Partial<Record<Kind, number>>>>

/** Reads the file of a resource. */
type Source = (resource: Resource) => Promise<string | undefined>

/** Makes the reading of the pressure. The source stays the one that had values first: totals of two do not mix. */
export function pressureReading({ pressure }: Instruments, roots?: CgroupRoots): Read {
  let source: Source | undefined
  let last: Pressure = {}
  return async () => {
    source ??= await findSource(roots)
    const now = source === undefined ? {} : await readPressure(source)
    for (const resource of PRESSURE_RESOURCES) {
      for (const kind of PRESSURE_KINDS) {
        const seconds = now[resource]?.[kind]
        if (seconds === undefined) pressure.remove({ resource, kind })
        else pressure.labels({ resource, kind }).inc(increase(last[resource]?.[kind], seconds))
      }
    }
    last = now
  }
}

/** Returns the innermost cgroup with pressure, else the machine. Resolves to `undefined` where the kernel has none. */
async function findSource(roots?: CgroupRoots): Promise<Source | undefined> {
  const sources = (await findFolders(roots)).map(
    (folder): Source =>
      (resource) =>
        readText(folder, `${resource}.pressure`),
  )
  for (const source of [...sources, (resource: Resource) => readText('/proc/pressure', resource)]) {
    if (Object.keys(await readPressure(source)).length > 0) return source
  }
  return undefined
}

export async function readPressure(source: Source): Promise<Pressure> {
  const pressure: Pressure = {}
  for (const resource of PRESSURE_RESOURCES) {
    const text = await source(resource)
    if (text !== undefined) pressure[resource] = parsePressure(text)
  }
  return pressure
}

/** Parses the totals, in microseconds. Kernels before 5.13 write no line `full` for the processors. */
export function parsePressure(text: string): Partial<Record<Kind, number>> {
  const totals = Array.from(text.matchAll(/^(some|full) .*\btotal=(\d+)$/gm), ([, kind, total]) => [
    kind,
    Number(total) / 1e6,
  ])
  return Object.fromEntries(totals)
}
