// What share do metrics have of a request whose handler works for a millisecond?
import { createApp, PATHS } from './lib/apps.mjs'
import { createConnection, exchange } from './lib/exchange.mjs'
import { sideBySide } from './lib/processes.mjs'
import { quantile, typicals } from './lib/statistics.mjs'

export const title = 'HTTP: beside a handler of 1 ms'
export const method =
  "The same path with a handler that parses JSON for 1 ms, one request per turn of the event loop; the time of a request less the time that its handler worked, by the clock, the lower quartile of 100 requests per slice. By the handler's work, and by whatever else the machine does, the processor's caches are emptied, and then all code is dearer than in a tight loop, the framework's and the metrics'."

const VARIANTS = ['bare', 'no-op onResponse', 'data20', 'fastify-metrics', '@promster/fastify']
const REQUESTS = 100
const DOCUMENT = JSON.stringify(Array.from({ length: 50 }, (_, id) => ({ id, name: `name ${id}`, tags: ['a', 'b'] })))

export async function run({ quick }) {
  const counts = quick ? { processes: 1, slices: 3 } : { processes: 5, slices: 6, warmups: 1 }
  const cost = typicals(await sideBySide(import.meta.url, VARIANTS, counts))
  const added = (variant) => cost[variant] - cost.bare
  const percent = (variant) => (added(variant) / (1000 + cost.bare)) * 100
  return {
    tables: [
      {
        head: ['', 'µs around the handler', 'added µs', 'added share of the request, %'],
        rows: VARIANTS.map((variant) => [
          variant,
          cost[variant],
          ...(variant === 'bare' ? ['', ''] : [added(variant), percent(variant)]),
        ]),
      },
    ],
    goals: [
      { text: 'beside 1 ms of work: added under 0.1 %, in %', value: percent('data20'), met: percent('data20') < 0.1 },
    ],
  }
}

export async function start(variant) {
  let worked = 0
  let workMilliseconds = 0
  const app = await createApp(variant, work)
  const connection = createConnection()
  // The JIT settles on the path alone.
  for (let count = 0; count < 20_000; count += 1) await timed(PATHS[count % PATHS.length])
  workMilliseconds = 1

  return async function slice() {
    const microseconds = []
    for (let count = 0; count < REQUESTS; count += 1) {
      await new Promise(setImmediate)
      microseconds.push((await timed(PATHS[count % PATHS.length])) * 1000)
    }
    return quantile(microseconds, 0.25)
  }

  function work() {
    const begin = performance.now()
    while (performance.now() - begin < workMilliseconds) JSON.parse(DOCUMENT)
    worked = performance.now() - begin
  }

  /** Milliseconds of one exchange outside of its handler. */
  function timed(path) {
    return new Promise((resolve) => {
      const begin = performance.now()
      exchange(app, connection, path, () => resolve(performance.now() - begin - worked))
    })
  }
}
