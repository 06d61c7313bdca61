/**
 * Memory and throttling of the container. Its series exist only where a cgroup v2 limit does.
 *
 * @module
 */
import { type Cgroup, readCgroup } from './cgroup.ts'
import type { Instruments } from './instruments.ts'
import { absent, increase, show } from './values.ts'

/** Makes the reading of the container. It resolves to the memory limit, which the memory percent is computed from. */
export function containerReading({
  containerMemoryLimit,
  containerMemoryUsed,
  containerThrottled,
}: Instruments): () => Promise<Cgroup['memory']> {
  let lastThrottledSeconds: number | undefined
  return async () => {
    const { memory, cpu } = await readCgroup()
    show(containerMemoryLimit, memory?.limitBytes)
    show(containerMemoryUsed, memory?.usedBytes)
    if (cpu === undefined) absent(containerThrottled)
    else containerThrottled.inc(increase(lastThrottledSeconds, cpu.throttledSeconds))
    lastThrottledSeconds = cpu?.throttledSeconds
    return memory
  }
}
