/**
 * Memory, processor time and throttling of the container. Its series exist only where a cgroup does that has them.
 *
 * @module
 */
import { type Cgroup, readCgroup } from './cgroup.ts'
import type { Instruments } from './instruments.ts'
import { countUp, show } from './values.ts'

/** Makes the reading of the container. It resolves to the memory limit, which the memory percent is computed from. */
export function containerReading(instruments: Instruments): () => Promise<Cgroup['memory']> {
  let last: Cgroup['cpu']
  return async () => {
    const { memory, cpu } = await readCgroup()
    show(instruments.containerMemoryLimit, memory?.limitBytes)
    show(instruments.containerMemoryUsed, memory?.usedBytes)
    show(instruments.containerWorkingSet, memory?.workingSetBytes)
    show(instruments.containerCpuLimit, cpu?.limit?.cores)
    countUp(instruments.containerCpuUsage, last?.usageSeconds, cpu?.usageSeconds)
    countUp(instruments.containerThrottled, last?.limit?.throttledSeconds, cpu?.limit?.throttledSeconds)
    last = cpu
    return memory
  }
}
