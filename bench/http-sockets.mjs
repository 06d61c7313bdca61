// What do metrics add to a request over a socket?
import { createApp, VARIANTS } from './lib/apps.mjs'
import { cpuNanoseconds, sideBySide, Worker } from './lib/processes.mjs'
import { ADDED, addedCells } from './lib/report.mjs'
import { addedTypicals, typicals } from './lib/statistics.mjs'

export const title = 'HTTP: over sockets'
export const method =
  "CPU time of the server's process for one GET over loopback, ten keep-alive connections, one load generator in a process of its own for all servers. Slices of 200 requests. *Added* is the median of the differences to the bare application within a round, with its 95 % confidence interval."

const COUNT = 200

export async function run({ quick }) {
  const load = new Worker(new URL('lib/load.mjs', import.meta.url).href, '')
  try {
    const values = await sideBySide(import.meta.url, VARIANTS, {
      ...(quick ? { processes: 1, slices: 8, warmups: 8 } : { processes: 9, slices: 50, warmups: 20 }),
      async measure(worker) {
        const port = await worker.slice('listen')
        await worker.slice('begin')
        await load.slice({ port, count: COUNT })
        return worker.slice('end')
      },
    })
    const cost = typicals(values)
    const added = addedTypicals(values)
    return {
      tables: [
        {
          head: ['', 'µs per request', ...ADDED, 'times ours'],
          rows: [
            ['bare', cost.bare / 1000, '', '', ''],
            ...VARIANTS.slice(1).map((variant) => [
              variant,
              cost[variant] / 1000,
              ...addedCells(added[variant], 1000),
              added[variant].value / added.data20.value,
            ]),
          ],
        },
      ],
      goals: [],
    }
  } finally {
    await load.stop()
  }
}

export async function start(variant) {
  const app = await createApp(variant)
  await app.listen({ port: 0, host: '127.0.0.1' })
  let cpuStart
  return function slice(command) {
    if (command === 'listen') return app.server.address().port
    if (command === 'end') return cpuNanoseconds(cpuStart) / COUNT
    cpuStart = process.cpuUsage()
  }
}
