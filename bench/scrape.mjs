// What does a scrape cost, and for how long does it block the event loop?
import { CLIENTS, createClient, fill } from './lib/clients.mjs'
import { cpuNanoseconds, sideBySide } from './lib/processes.mjs'
import { median, typicals } from './lib/statistics.mjs'

export const title = 'Scrape'
export const method =
  'A registry of HTTP metrics (per route 7 counters and a histogram of 14 series), scraped repeatedly through `metrics.expose()` and `registry.metrics()`; the first three seconds are not measured. Before each scrape a share of the series changes through bound children, which is not measured either. CPU time per scrape, up to the body as bytes, in slices of 25 ms or one scrape. The pause is the longest time between two turns of a `setImmediate` ticker during one scrape with all series changed: in CPU time of the process, and by wall clock, which includes the time of other programs on this machine.'

const SIZES = [504, 10_080, 100_800]
const MANY = 50_000
const WARMUP_MS = 3000
const SLICE_MS = 25
const SHARES = { all: 1, '1 %': 0.01, none: 0 }

export async function run({ quick }) {
  const rows = []
  const pauseRows = []
  const goals = []
  for (const series of SIZES) {
    const many = series > MANY
    const counts = quick
      ? { processes: 1, slices: 2, warmups: 1 }
      : { processes: many ? 2 : 7, slices: many ? 5 : 40, warmups: many ? 1 : 3 }
    for (const [changed, share] of Object.entries(SHARES)) {
      const values = await sideBySide(import.meta.url, CLIENTS, { ...counts, options: { series, share } })
      const cost = typicals(pick(values, 'milliseconds'))
      const gain = cost['prom-client'] / cost.data20
      rows.push([
        series,
        changed,
        ...CLIENTS.map((client) => cost[client]),
        gain,
        cost['@prometheus-io/client'] / cost.data20,
      ])
      goals.push({
        text: `${series} series, changed: ${changed}: at least 10 times cheaper than prom-client`,
        value: gain,
        met: gain >= 10,
      })

      if (!many || share < 1) continue
      const pauses = pick(values, 'pause')
      const clockPauses = pick(values, 'clockPause')
      const pause = Object.fromEntries(CLIENTS.map((client) => [client, median(pauses[client].flat())]))
      for (const client of CLIENTS) {
        const byTheClock = clockPauses[client].flat()
        pauseRows.push([
          client,
          pause[client],
          Math.max(...pauses[client].flat()),
          median(byTheClock),
          Math.max(...byTheClock),
        ])
      }
      const timesShorter = pause['prom-client'] / pause.data20
      goals.push(
        {
          text: `${series} series: longest pause at most 1/20 of prom-client's, times shorter`,
          value: timesShorter,
          met: timesShorter >= 20,
        },
        { text: `${series} series: longest pause under 10 ms`, value: pause.data20, met: pause.data20 < 10 },
      )
    }
  }
  return {
    tables: [
      {
        head: [
          'series',
          'changed',
          ...CLIENTS.map((client) => `${client}, ms`),
          'prom-client, times ours',
          '@prometheus-io/client, times ours',
        ],
        rows,
      },
      {
        head: [
          `longest pause, ${SIZES.at(-1)} series`,
          'CPU ms, median of the scrapes',
          'CPU ms, worst',
          'ms by the clock, median',
          'ms by the clock, worst',
        ],
        rows: pauseRows,
      },
    ],
    goals,
  }
}

export async function start(name, { series, share }) {
  const client = await createClient(name)
  const change = fill(client, series)()
  // A service in production has been scraped many times: let the JIT settle.
  const end = performance.now() + WARMUP_MS
  do {
    change(share)
    await client.scrape()
  } while (performance.now() < end)

  return async function slice() {
    let nanoseconds = 0
    let scrapes = 0
    let pauses = {}
    const end = performance.now() + SLICE_MS
    do {
      change(share)
      // With few series the ticker would be part of the measurement.
      const stopTicker = series > MANY ? startTicker() : () => ({})
      const cpuStart = process.cpuUsage()
      await client.scrape()
      nanoseconds += cpuNanoseconds(cpuStart)
      scrapes += 1
      pauses = await stopTicker()
    } while (series < MANY && performance.now() < end)
    return { milliseconds: nanoseconds / scrapes / 1e6, ...pauses }
  }
}

/** Measures the longest time between two turns of the event loop, in milliseconds, until it is stopped. */
function startTicker() {
  let pause = 0
  let clockPause = 0
  let stopped
  let clock = performance.now()
  let cpu = process.cpuUsage()
  setImmediate(function tick() {
    clockPause = Math.max(clockPause, performance.now() - clock)
    pause = Math.max(pause, cpuNanoseconds(cpu) / 1e6)
    clock = performance.now()
    cpu = process.cpuUsage()
    if (stopped) stopped({ pause, clockPause })
    else setImmediate(tick)
  })
  return () =>
    new Promise((resolve) => {
      stopped = resolve
    })
}

function pick(values, key) {
  return Object.fromEntries(
    Object.entries(values).map(([variant, processes]) => [
      variant,
      processes.map((slices) => slices.map((slice) => slice[key])),
    ]),
  )
}
