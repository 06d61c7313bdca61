// Runs each variant in processes of its own, all alive at the same time, each asked in turn for a short slice of work.
// Disturbances of the machine then hit all variants alike, and a process with unlucky JIT decisions is one of several.
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** A process that has imported a benchmark and called its `start(variant, options)`. */
export class Worker {
  #child
  #answer

  constructor(file, variant, options = {}) {
    this.#child = fork(new URL('worker.mjs', import.meta.url), [file, variant, JSON.stringify(options)], {
      execArgv: ['--expose-gc'],
    })
    this.#child.on('message', ({ value, error }) =>
      error ? this.#answer.reject(new Error(error)) : this.#answer.resolve(value),
    )
    this.#child.on('exit', (code, signal) =>
      this.#answer?.reject(new Error(`a benchmark's process ended with ${signal ?? code}`)),
    )
  }

  /** Runs one slice and resolves to its measurement. The first call waits for the start. */
  slice(...args) {
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject }
      this.#child.send(args, (error) => error && reject(error))
    })
  }

  async stop() {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }
}

/**
 * Measures variants side by side. Starts a new process per variant `processes` times; in each set, runs `slices` rounds
 * after `warmups` discarded ones, each round in random order. `measure` gets a slice from a worker; by default the
 * worker measures itself. Resolves to one array of values per process for each variant.
 */
export async function sideBySide(
  file,
  variants,
  { processes, slices, warmups = 3, options, measure = (worker) => worker.slice() },
) {
  const values = Object.fromEntries(variants.map((variant) => [variant, []]))
  for (let run = 0; run < processes; run += 1) {
    const workers = variants.map((variant) => [variant, new Worker(file, variant, options)])
    try {
      for (const variant of variants) values[variant].push([])
      for (let round = -warmups; round < slices; round += 1) {
        for (const [variant, worker] of shuffle(workers)) {
          const value = await measure(worker)
          if (round >= 0) values[variant].at(-1).push(value)
        }
      }
    } finally {
      await Promise.all(workers.map(([, worker]) => worker.stop()))
    }
  }
  return values
}

function shuffle(list) {
  const shuffled = [...list]
  for (let end = shuffled.length - 1; end > 0; end -= 1) {
    const index = Math.floor(Math.random() * (end + 1))
    ;[shuffled[end], shuffled[index]] = [shuffled[index], shuffled[end]]
  }
  return shuffled
}

/**
 * Returns CPU nanoseconds of this process since `start`, all threads included: garbage collection is part of the cost.
 */
export function cpuNanoseconds(start) {
  const { user, system } = process.cpuUsage(start)
  return (user + system) * 1000
}

/**
 * Repeats `batch`, which does `size` operations, for about `milliseconds`. Resolves to CPU nanoseconds per operation.
 */
export async function cpuPerThing(batch, size, milliseconds = 25) {
  const start = process.cpuUsage()
  const end = performance.now() + milliseconds
  let things = 0
  do {
    await batch()
    things += size
  } while (performance.now() < end)
  return cpuNanoseconds(start) / things
}
