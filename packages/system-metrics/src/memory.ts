/**
 * Memory and swap of the machine, and the memory percent of the container where its limit is the tighter one.
 *
 * @module
 */
import { mem } from 'systeminformation'
import type { Cgroup } from './cgroup.ts'
import type { Instruments } from './instruments.ts'
import type { Read } from './sampler.ts'
import { percentOf } from './values.ts'

/** Makes the reading of the memory. `readContainer` returns the memory limit of the container. */
export function memoryReading(
  { memoryPercent, memoryUsed, memoryTotal, swapUsed }: Instruments,
  readContainer: () => Promise<Cgroup['memory']>,
): Read {
  return async () => {
    // `mem` is the one function of systeminformation that starts no child process on Linux: it reads /proc/meminfo.
    const [{ total, available, swapused }, limit] = await Promise.all([mem(), readContainer()])
    const used = total - available
    memoryUsed.set(used)
    memoryTotal.set(total)
    swapUsed.set(swapused)
    // A limit above the memory of the machine is never reached.
    const isLimited = limit !== undefined && limit.limitBytes < total
    memoryPercent.set(isLimited ? percentOf(limit.usedBytes, limit.limitBytes) : percentOf(used, total))
  }
}
