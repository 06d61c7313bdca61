/**
 * The load average.
 *
 * @module
 */
import os from 'node:os'
import type { Instruments } from './instruments.ts'
import { LOAD_WINDOWS } from './metrics.ts'
import type { Read } from './sampler.ts'

/** Makes the reading of the load. */
export function loadReading({ loadAverage }: Instruments): Read {
  return () => {
    // Windows has no load average, and Node.js returns 0 there.
    if (process.platform === 'win32') return
    for (const [index, load] of os.loadavg().entries()) loadAverage.reserve({ window: LOAD_WINDOWS[index] }).set(load)
  }
}
