/**
 * The busy part of the processors. systeminformation's `currentLoad` does not fit: it starts a shell with `cat
 * /proc/stat` at each call, synchronously, and keeps its state per process, so two applications would shorten each
 * other's windows.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import type { Instruments } from './instruments.ts'
import type { Read } from './sampler.ts'

/** Sums over all processors since boot, in ticks of one unit. */
export interface CpuTimes {
  busy: number
  total: number
}

/** Makes the reading of the processors. Their percent is known from the second reading on. */
export function cpuReading({ cpuPercent }: Instruments): Read {
  let last: CpuTimes | undefined
  return async () => {
    const times = await readCpuTimes()
    const percent = last && busyPercent(last, times)
    last = times
    if (percent !== undefined) cpuPercent.set(percent)
  }
}

/** Reads the times. Time stolen by the hypervisor is known on Linux only. */
async function readCpuTimes(): Promise<CpuTimes> {
  if (process.platform === 'linux') return parseStat(await readFile('/proc/stat', 'utf8'))
  let idle = 0
  let total = 0
  for (const { times } of os.cpus()) {
    idle += times.idle
    total += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return { busy: total - idle, total }
}

/** Parses /proc/stat, see proc_stat(5). Time stolen by the hypervisor is busy, as it is in htop. */
export function parseStat(text: string): CpuTimes {
  // Guest time follows these eight fields and is already part of user and nice.
  const fields = /^cpu +(.*)$/m.exec(text)?.[1]?.split(' ').slice(0, 8).map(Number) ?? []
  const [user = NaN, nice = NaN, system = NaN, idle = NaN, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields
  const busy = user + nice + system + irq + softirq + steal
  if (Number.isNaN(busy + idle)) throw new Error('Expected a line `cpu` with at least four numbers in /proc/stat')
  return { busy, total: busy + idle + iowait }
}

/** Returns the busy part between two readings, 0 to 100, or `undefined` if no tick has passed. */
export function busyPercent(previous: CpuTimes, { busy, total }: CpuTimes): number | undefined {
  const elapsed = total - previous.total
  // The kernel's idle and iowait times may decrease a little, see proc_stat(5).
  return elapsed > 0 ? Math.min(100, Math.max(0, (100 * (busy - previous.busy)) / elapsed)) : undefined
}
