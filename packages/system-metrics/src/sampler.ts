/**
 * The sampler: runs readings in the background at an interval, independently of each other. A reading that hangs, on a
 * network file system whose server is gone, is not started again and delays no other.
 *
 * @module
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'

/** Reads one part of the machine's state and sets its metrics. */
export type Read = () => void | Promise<void>

/** Readings at an interval. */
export interface Sampler {
  /** Starts each reading that is not running already. Resolves when all have ended, and never rejects. */
  sample(): Promise<void>
  /**
   * Throws if the last run of a reading failed, or if a reading has not succeeded for three intervals. Costs one
   * comparison per reading.
   */
  check(): void
  /** Ends the sampling. A reading that is running ends by itself. */
  stop(): void
}

interface Reading {
  name: string
  read: Read
  running: Promise<void> | undefined
  error: unknown
  lastSuccessMs: number
}

/** The CPU percent needs two readings, so the second one comes early: 50 ticks of the kernel's clock. */
const FIRST_INTERVAL_MS = 500
const STALE_INTERVALS = 3
const TICK_MS = 50

/**
 * Makes the sampler of readings by name. The first sample comes after the first interval; the timer never keeps the
 * process alive.
 */
export function createSampler(reads: Record<string, Read>, intervalMs: number): Sampler {
  const readings = Object.entries(reads).map(
    ([name, read]): Reading => ({
      name,
      read,
      running: undefined,
      error: undefined,
      lastSuccessMs: performance.now(),
    }),
  )
  let timer = setTimeout(tick, Math.min(FIRST_INTERVAL_MS, intervalMs)).unref()

  return { sample, check, stop: () => clearTimeout(timer) }

  function tick(): void {
    timer = setTimeout(tick, intervalMs).unref()
    sample()
  }

  async function sample(): Promise<void> {
    await Promise.all(
      readings.map((reading) => {
        reading.running ??= run(reading).finally(() => {
          reading.running = undefined
        })
        return reading.running
      }),
    )
  }

  async function run(reading: Reading): Promise<void> {
    try {
      await reading.read()
      reading.error = undefined
      reading.lastSuccessMs = performance.now()
    } catch (error) {
      reading.error = error
    }
  }

  function check(): void {
    const now = performance.now()
    for (const { name, error, lastSuccessMs } of readings) {
      if (error !== undefined) throw new Error(`The last sample of ${name} failed`, { cause: error })
      const ageMs = now - lastSuccessMs
      if (ageMs > STALE_INTERVALS * intervalMs) {
        throw new Error(
          `Expected a sample of ${name} every ${intervalMs} ms, got the last one ${Math.round(ageMs)} ms ago`,
        )
      }
    }
  }
}

/**
 * Resolves to `true` when `work` fulfills, or to `false` if it has not done so within the time. Rejects as `work` does.
 * The time is counted in ticks, and each tick lets the event loop deliver what is ready: an answer that waited behind
 * blocking code is seen, however long that code took.
 */
export async function settlesWithin(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let isFulfilled = false
  const settled = work.then(() => {
    isFulfilled = true
  })
  for (let waitedMs = 0; waitedMs < timeoutMs && !isFulfilled; waitedMs += TICK_MS) {
    await Promise.race([settled, sleep(Math.min(TICK_MS, timeoutMs - waitedMs))])
  }
  // The last tick ended in the timer phase; answers of the file system arrive in the poll phase, which comes after it.
  if (!isFulfilled) await Promise.race([settled, turn()])
  return isFulfilled
}
