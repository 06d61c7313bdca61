import { setImmediate as turn } from 'node:timers/promises'
import { until } from '@data20/dev-services'
import t from 'tap'
import { CLIENTS } from '../clients.ts'
import { build, createGate, scrape } from '../helpers.ts'

t.test('concurrent scrapes share one collection', async (t) => {
  let arrived = 0
  const preHandler = async () => {
    arrived += 1
  }
  const app = await build(t, { collectorTimeoutMs: 60_000, preHandler })
  const gate = createGate()
  const collections = { quick: 0, slow: 0 }
  app.metrics.collector('quick', () => {
    collections.quick += 1
  })
  app.metrics.collector('slow', async () => {
    collections.slow += 1
    await gate.opened
  })
  const scraping = Promise.all(Array.from({ length: 20 }, () => scrape(app)))
  await until('all scrapes to arrive', () => arrived === 20)
  // The handler of the last one follows its preHandler.
  await turn()
  gate.open()
  t.ok((await scraping).every((text) => text.includes('metrics_collector_success{collector="slow"} 1')))
  t.same(collections, { quick: 1, slow: 1 })
})

t.test('a scrape that shares a collection waits no longer than its own deadline', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 60_000 })
  const gate = createGate()
  app.metrics.collector('hangs', () => gate.opened)
  const order: string[] = []
  const patient = scrape(app).then(() => order.push('patient'))
  await turn()
  await scrape(app, { 'x-prometheus-scrape-timeout-seconds': '0.05' }).then(() => order.push('hasty'))
  gate.open()
  await patient
  t.same(order, ['hasty', 'patient'])
})

for (const [name, client] of Object.entries(CLIENTS)) {
  t.test(`${name}: metrics of the client that throw, hang or return nonsense do not break a scrape`, async (t) => {
    const registry = new client.Registry()
    const app = await build(t, { registry, collectorTimeoutMs: 50 })
    let mode = 'fine'
    const options = (name: string, collect: () => unknown) => ({
      name,
      help: 'Theirs.',
      registers: [registry],
      collect: collect as never,
    })
    const throws = new client.Gauge(
      options('their_throw', () => {
        if (mode !== 'fine') throw new Error('broken')
      }),
    )
    const hangs = new client.Gauge(options('their_hang', () => (mode === 'fine' ? undefined : new Promise(() => {}))))
    throws.set(1)
    hangs.set(2)
    const add = (name: string, get: () => unknown) =>
      registry.registerMetric({ name, help: 'H.', type: 'gauge', get, reset() {} } as never)
    add('throws_synchronously', () => {
      throw new Error('at once')
    })
    add('no_values', () => undefined)
    add('odd_values', () => ({
      name: 'odd_values',
      help: 5,
      type: 'gauge',
      values: [{ value: undefined }, { value: '4', labels: { a: null } }],
    }))
    t.match(await scrape(app), /^their_throw 1$[\s\S]*^their_hang 2$/m)
    mode = 'broken'
    const text = await scrape(app)
    t.match(text, /^their_throw 1$[\s\S]*^their_hang 2$/m, 'their last good values are exposed')
    t.match(text, /^odd_values NaN\nodd_values\{a=""\} 4$/m)
    for (const collector of ['their_throw', 'their_hang', 'throws_synchronously', 'no_values']) {
      t.match(await scrape(app), `metrics_collector_success{collector="${collector}"} 0`)
    }
    registry.removeSingleMetric('their_throw')
    t.notMatch(await scrape(app), 'their_throw', 'a removed metric no longer fails')
    registry.registerMetric(throws)
    t.match(await scrape(app), 'metrics_collector_success{collector="their_throw"} 0')
  })
}
