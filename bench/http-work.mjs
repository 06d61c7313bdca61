// Which share of a request do metrics take when its handler works for a millisecond?
import { ALONE, createApp, PATHS } from './lib/apps.mjs'
import { createConnection, exchange } from './lib/exchange.mjs'
import { sideBySide } from './lib/processes.mjs'
import { ADDED, addedCells } from './lib/report.mjs'
import { addedTypicals, quantile, shareGoal, typicals } from './lib/statistics.mjs'

export const title = 'HTTP: beside a handler of 1 ms'
export const method =
  'The same path with a handler that works for 1 ms, by wall clock: the time of a request minus the time its handler worked, as the lower quartile of 20 requests per slice, which leaves garbage collections out. Ours is *HTTP alone*. One handler only watches the clock; one parses JSON, one request per turn of the event loop. On a shared machine, neighbours evict the caches of a core within a millisecond, even while the handler touches nothing. All code then costs several times what it costs in a tight loop, framework and metrics alike.'

const VARIANTS = ['bare', 'no-op onResponse', ALONE, 'fastify-metrics', '@promster/fastify']
const REQUESTS = 20
const DOCUMENT = JSON.stringify(Array.from({ length: 50 }, (_, id) => ({ id, name: `name ${id}`, tags: ['a', 'b'] })))
const WORK = {
  waiting: () => {},
  parsing: () => JSON.parse(DOCUMENT),
}

export async function run({ quick }) {
  const counts = quick ? { processes: 1, slices: 3 } : { processes: 15, slices: 60, warmups: 1 }
  const rows = []
  const goals = []
  for (const work of Object.keys(WORK)) {
    const values = await sideBySide(import.meta.url, VARIANTS, { ...counts, options: { work } })
    const cost = typicals(values)
    const added = addedTypicals(values)
    const percent = (variant) => (added[variant].value / (1000 + cost.bare)) * 100
    rows.push([work, 'bare', cost.bare, '', '', ''])
    for (const variant of VARIANTS.slice(1)) {
      rows.push([work, variant, cost[variant], ...addedCells(added[variant]), percent(variant)])
    }
    goals.push(
      shareGoal(
        `beside 1 ms of ${work}: added at most what a no-op \`onResponse\` hook adds`,
        added[ALONE].value,
        added['no-op onResponse'].value,
        1,
      ),
      {
        text: `beside 1 ms of ${work}: added under 0.1 %, in %`,
        value: percent(ALONE),
        met: percent(ALONE) < 0.1,
      },
    )
  }
  return {
    tables: [{ head: ['handler', '', 'µs around the handler', ...ADDED, 'added share of the request, %'], rows }],
    goals,
  }
}

export async function start(variant, { work }) {
  let worked = 0
  let workMilliseconds = 0
  const app = await createApp(variant, workFor)
  const connection = createConnection()
  // Let the JIT settle on the path alone.
  for (let count = 0; count < 20_000; count += 1) await timed(PATHS[count % PATHS.length])
  workMilliseconds = 1

  return async function slice() {
    const microseconds = []
    for (let count = 0; count < REQUESTS; count += 1) {
      if (work === 'parsing') await new Promise(setImmediate)
      microseconds.push((await timed(PATHS[count % PATHS.length])) * 1000)
    }
    return quantile(microseconds, 0.25)
  }

  function workFor() {
    const begin = performance.now()
    while (performance.now() - begin < workMilliseconds) WORK[work]()
    worked = performance.now() - begin
  }

  /** Resolves to the milliseconds of one exchange outside its handler. */
  function timed(path) {
    return new Promise((resolve) => {
      const begin = performance.now()
      exchange(app.routing, connection, path, () => resolve(performance.now() - begin - worked))
    })
  }
}
