// How much memory does one series take?
import { setTimeout } from 'node:timers/promises'
import { CLIENTS, createClient, fill } from './lib/clients.mjs'
import { sideBySide } from './lib/processes.mjs'
import { typicals } from './lib/statistics.mjs'

export const title = 'Memory'
export const method =
  'Heap and external memory after a garbage collection, with every series observed and scraped once, minus the same before the series were made. Bytes per series (per sample, as Prometheus counts). Small registries are made ten times over. Each figure comes from processes of its own.'

const SIZES = [10_080, 100_800]
/** V8 counts its heap in pages of 256 KiB, so small registries are measured several at a time. */
const SERIES_AT_ONCE = 100_800
const KINDS = ['counters', 'histograms', 'mix']

export async function run({ quick }) {
  const rows = []
  const goals = []
  for (const series of SIZES) {
    for (const kind of KINDS) {
      const values = await sideBySide(import.meta.url, CLIENTS, {
        processes: quick || series > 50_000 ? 1 : 3,
        slices: 1,
        warmups: 0,
        options: { series, kind },
      })
      const bytes = Object.values(typicals(values))
      const share = bytes[0] / bytes[1]
      rows.push([series, kind, ...bytes, share])
      goals.push({ text: `${series} series, ${kind}: at most half of prom-client's`, value: share, met: share <= 0.5 })
    }
  }
  return {
    tables: [{ head: ['series', '', ...CLIENTS.map((client) => `${client}, bytes`), "share of prom-client's"], rows }],
    goals,
  }
}

export async function start(name, { series, kind }) {
  const count = Math.ceil(SERIES_AT_ONCE / series)
  const createClients = () => Promise.all(Array.from({ length: count }, () => createClient(name)))
  // Otherwise code that is compiled meanwhile would count as series.
  let firstRoute = 0
  for (const client of await createClients()) await useOnce(client)
  const clients = await createClients()
  return async function slice() {
    const before = await memory()
    for (const client of clients) await useOnce(client)
    return ((await memory()) - before) / series / count
  }

  /** Uses routes that no other client has: V8 keeps one string for equal keys. */
  async function useOnce(client) {
    fill(client, series, kind, firstRoute)
    firstRoute += series
    await client.scrape()
  }
}

async function memory() {
  for (let time = 0; time < 8; time += 1) {
    gc()
    // Buffers are freed some time after the collection that found them.
    await setTimeout(25)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
