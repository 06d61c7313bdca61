// What do metrics add to the way of a request through Fastify, without the network?
import { createApp, PATHS, VARIANTS } from './lib/apps.mjs'
import { createConnection, exchange } from './lib/exchange.mjs'
import { cpuPerThing, sideBySide } from './lib/processes.mjs'
import { typicals } from './lib/statistics.mjs'

export const title = 'HTTP: the framework path'
export const method =
  'CPU time of one GET of ten routes in turn through Fastify: real `IncomingMessage` and `ServerResponse` on a connection that swallows what is written, given to the server as its `request` event, detached and closed as Node does it. Every plugin with its defaults. Slices of 25 ms.'

const BATCH = 100
/** Until the JIT has settled. */
const WARMUP_BATCHES = 300

export async function run({ quick }) {
  const values = await sideBySide(
    import.meta.url,
    VARIANTS,
    quick ? { processes: 1, slices: 10 } : { processes: 7, slices: 20 },
  )
  const cost = typicals(values)
  const added = Object.fromEntries(VARIANTS.map((variant) => [variant, cost[variant] - cost.bare]))
  const goal = (text, reference, atMost) => {
    const share = added.data20 / added[reference]
    return { text, value: share, met: share <= atMost }
  }
  return {
    tables: [
      {
        head: ['', 'µs per request', 'added µs', 'times ours', 'added, % of 1 ms'],
        rows: VARIANTS.map((variant) => [
          variant,
          cost[variant] / 1000,
          variant === 'bare' ? '' : added[variant] / 1000,
          variant === 'bare' ? '' : added[variant] / added.data20,
          variant === 'bare' ? '' : added[variant] / 10_000,
        ]),
      },
    ],
    goals: [
      goal('added at most what a no-op `onResponse` hook adds, share of it', 'no-op onResponse', 1),
      goal('added at most 1/10 of fastify-metrics, share of it', 'fastify-metrics', 0.1),
      goal('added at most 1/10 of @promster/fastify, share of it', '@promster/fastify', 0.1),
    ],
  }
}

export async function start(variant) {
  const app = await createApp(variant)
  const connection = createConnection()
  for (let count = 0; count < WARMUP_BATCHES; count += 1) await new Promise(batch)
  return () => cpuPerThing(() => new Promise(batch), BATCH)

  function batch(resolve) {
    let left = BATCH
    next()

    function next() {
      if (left === 0) return setImmediate(resolve)
      left -= 1
      exchange(app, connection, PATHS[left % PATHS.length], next)
    }
  }
}
