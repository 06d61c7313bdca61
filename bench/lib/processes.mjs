// How everything here is measured: each variant in processes of its own, all alive at the same time, each asked in
// turn for a short slice of work. What disturbs the machine then disturbs all variants alike, and a process that was
// unlucky with its JIT is one of several.
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** One process that has imported a benchmark and called its `start(variant, options)`. */
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

  /** Runs one slice and returns what it measured; the first call waits for the start. */
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
 * Measures variants side by side: `processes` times a new process for each of them, in which `slices` rounds are run after
 * `warmups` that are thrown away, each round in an order of its own. `measure` makes a slice of a worker; by default the
 * worker makes it alone. Returns, for each variant, one list of values per process.
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

/** CPU nanoseconds of this process since `start`, all of its threads included: garbage collection is part of a cost. */
export function cpuNanoseconds(start) {
  const { user, system } = process.cpuUsage(start)
  return (user + system) * 1000
}

/** Repeats `batch`, which does `size` things, for about `milliseconds`; returns CPU nanoseconds per thing. */
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
