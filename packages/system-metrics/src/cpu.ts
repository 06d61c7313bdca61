/**
 * The time that the processors of the machine worked and idled. Not systeminformation's `currentLoad`: that starts a
 * shell with `cat /proc/stat` at each call, synchronously, and its state belongs to the process, so that two
 * applications would shorten each other's windows.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import os from 'node:os'

/** Sums over all processors since boot, in ticks of one unit. */
export interface CpuTimes {
  busy: number
  total: number
}

/** Reads the times; elsewhere than on Linux without those that the hypervisor took. */
export async function readCpuTimes(): Promise<CpuTimes> {
  if (process.platform === 'linux') return parseStat(await readFile('/proc/stat', 'utf8'))
  let idle = 0
  let total = 0
  for (const { times } of os.cpus()) {
    idle += times.idle
    total += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return { busy: total - idle, total }
}

/** The times in the text of /proc/stat, see proc_stat(5). Time stolen by the hypervisor is busy, as it is in htop. */
export function parseStat(text: string): CpuTimes {
  // Guest time follows these eight and is part of user and nice already.
  const fields = /^cpu +(.*)$/m.exec(text)?.[1]?.split(' ').slice(0, 8).map(Number) ?? []
  const [user = NaN, nice = NaN, system = NaN, idle = NaN, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields
  const busy = user + nice + system + irq + softirq + steal
  if (Number.isNaN(busy + idle)) throw new Error('Expected a line `cpu` with at least four numbers in /proc/stat')
  return { busy, total: busy + idle + iowait }
}

/** The busy part between two readings, 0 to 100; `undefined` when no tick has passed. */
export function busyPercent(previous: CpuTimes, { busy, total }: CpuTimes): number | undefined {
  const elapsed = total - previous.total
  // The kernel's idle and iowait times may go back a little, see proc_stat(5).
  return elapsed > 0 ? Math.min(100, Math.max(0, (100 * (busy - previous.busy)) / elapsed)) : undefined
}
