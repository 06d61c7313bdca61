// What does it cost to record an event: one `inc` of a counter and one `observe` of a histogram?
import { CLIENTS, createClient, durationOptions, requestsOptions } from './lib/clients.mjs'
import { cpuPerThing, sideBySide } from './lib/processes.mjs'
import { typicals } from './lib/statistics.mjs'

export const title = 'Recording'
export const method =
  'One `inc` of a counter with three labels and one `observe` of a histogram with two labels and 11 buckets, over 16 label sets in turn; *bound* is a child made once by `labels()`. CPU time, slices of 25 ms.'

const PAIRS = 1000

export async function run({ quick }) {
  const variants = CLIENTS.flatMap((client) => [`${client}, bound`, `${client}, labelled`])
  const values = await sideBySide(
    import.meta.url,
    variants,
    quick ? { processes: 1, slices: 5 } : { processes: 4, slices: 12 },
  )
  const cost = typicals(values)
  const timesOurs = (variant) => cost[variant] / cost['data20, bound']
  const gain = timesOurs('prom-client, labelled')
  return {
    tables: [
      {
        head: ['`inc` + `observe`', 'ns', 'times ours, bound'],
        rows: variants.map((variant) => [variant, cost[variant], timesOurs(variant)]),
      },
    ],
    goals: [{ text: 'bound at least 20 times cheaper than prom-client labelled', value: gain, met: gain >= 20 }],
  }
}

export async function start(variant) {
  const [clientName, way] = variant.split(', ')
  const client = await createClient(clientName)
  const requests = client.counter(requestsOptions)
  const duration = client.histogram(durationOptions)
  const routes = Array.from({ length: 16 }, (_, index) => `/api/v1/resource-${index}/:id`)
  const seconds = Array.from({ length: 1024 }, (_, index) => ((index * 7919) % 1024) ** 2 / 1024 ** 2)
  const bound = routes.map((endpoint) => ({
    requests: requests.labels({ endpoint, method: 'GET', status: 200 }),
    duration: duration.labels({ endpoint, method: 'GET' }),
  }))

  return () => cpuPerThing(way === 'bound' ? recordBound : recordLabelled, PAIRS)

  function recordBound() {
    for (let index = 0; index < PAIRS; index += 1) {
      const series = bound[index & 15]
      series.requests.inc()
      series.duration.observe(seconds[index & 1023])
    }
  }

  function recordLabelled() {
    for (let index = 0; index < PAIRS; index += 1) {
      const endpoint = routes[index & 15]
      requests.inc({ endpoint, method: 'GET', status: 200 })
      duration.observe({ endpoint, method: 'GET' }, seconds[index & 1023])
    }
  }
}
