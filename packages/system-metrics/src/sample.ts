/**
 * The sampler: reads in the background, at an interval, each reading apart from all others. One that hangs (a network
 * file system whose server is gone) is not started again and holds up nothing but itself.
 *
 * @module
 */

/** Reads one state of the machine and sets its metrics. */
export type Read = () => void | Promise<void>

/** Readings at an interval. */
export interface Sampler {
  /** Starts each reading that does not run already; resolves when all have ended. Never rejects. */
  sample(): Promise<void>
  /** Throws when a reading failed the last time, or has not succeeded for three intervals. Costs a comparison for each. */
  check(): void
  /** Ends the sampling; a reading that runs ends by itself. */
  stop(): void
}

interface Reading {
  name: string
  read: Read
  running: Promise<void> | undefined
  error: unknown
  lastSuccessMs: number
}

/** The processors need two readings for a first value, so the second comes soon: 50 ticks of the kernel's clock. */
const FIRST_INTERVAL_MS = 500
const STALE_INTERVALS = 3

/** Makes the sampler of `reads` by name. It waits for its first interval; the timer never keeps the process alive. */
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
        throw new Error(`Expected a sample of ${name} every ${intervalMs} ms, got the last ${Math.round(ageMs)} ms ago`)
      }
    }
  }
}
