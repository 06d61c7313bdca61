// What do metrics add to the path of a request through Fastify, without the network?
import { ALONE, createApp, PATHS, PEER_ALONE, VARIANTS } from './lib/apps.mjs'
import { createConnection, exchange } from './lib/exchange.mjs'
import { cpuPerThing, sideBySide } from './lib/processes.mjs'
import { ADDED, addedCells } from './lib/report.mjs'
import { addedTypicals, shareGoal, typicals } from './lib/statistics.mjs'

export const title = 'HTTP: the framework path'
export const method =
  'CPU time of one GET of ten routes in turn through Fastify: a real `IncomingMessage` and `ServerResponse` on a connection that discards what is written, passed to `app.routing`, detached and closed as Node does it. Every plugin has its defaults. The defaults of ours and of the peers include process metrics, whose garbage-collection observer costs CPU per collection, whatever is counted per request. *HTTP alone* is a plugin without them (`defaultMetrics` off), for comparison with variants that have none. *Added* is the median of the differences to the bare application within a round, with its 95 % confidence interval. A slice of 10 ms contains no, one or more garbage collections; the lower decile leaves some of them out, for all variants alike.'

const BATCH = 100
/**
 * Milliseconds. Short and many: the machine's neighbours come and go within seconds, so every variant meets each of
 * them.
 */
const SLICE = 10
/** Enough for the JIT to settle. */
const WARMUP_BATCHES = 300

export async function run({ quick }) {
  const values = await sideBySide(
    import.meta.url,
    VARIANTS,
    quick ? { processes: 1, slices: 10 } : { processes: 41, slices: 150 },
  )
  const cost = typicals(values)
  const added = addedTypicals(values)
  const percent = added[ALONE].value / 10_000
  return {
    tables: [
      {
        head: ['', 'µs per request', ...ADDED, 'times ours', 'added, % of 1 ms'],
        rows: [
          ['bare', cost.bare / 1000, '', '', '', ''],
          ...VARIANTS.slice(1).map((variant) => [
            variant,
            cost[variant] / 1000,
            ...addedCells(added[variant], 1000),
            added[variant].value / added.data20.value,
            added[variant].value / 10_000,
          ]),
        ],
      },
    ],
    goals: [
      shareGoal(
        'HTTP alone: added at most what a no-op `onResponse` hook adds',
        added[ALONE].value,
        added['no-op onResponse'].value,
        1,
      ),
      shareGoal(
        'HTTP alone: added at most 1/10 of fastify-metrics, HTTP alone',
        added[ALONE].value,
        added[PEER_ALONE].value,
        0.1,
      ),
      shareGoal('added at most 1/10 of fastify-metrics', added.data20.value, added['fastify-metrics'].value, 0.1),
      shareGoal('added at most 1/10 of @promster/fastify', added.data20.value, added['@promster/fastify'].value, 0.1),
      { text: 'HTTP alone: added under 0.1 % of a request of 1 ms, in %', value: percent, met: percent < 0.1 },
    ],
  }
}

export async function start(variant) {
  const app = await createApp(variant)
  const connection = createConnection()
  for (let count = 0; count < WARMUP_BATCHES; count += 1) await new Promise(batch)
  return () => cpuPerThing(() => new Promise(batch), BATCH, SLICE)

  function batch(resolve) {
    let left = BATCH
    next()

    function next() {
      if (left === 0) return setImmediate(resolve)
      left -= 1
      exchange(app.routing, connection, PATHS[left % PATHS.length], next)
    }
  }
}
