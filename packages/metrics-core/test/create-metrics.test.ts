import { readValue } from '@data20/dev-services'
import Fastify from 'fastify'
import t from 'tap'
import { metricsCore } from '../src/index.ts'
import { CLIENTS } from './clients.ts'
import { build, observeCollections, scrape } from './helpers.ts'

t.test('errors of callbacks are counted by plugin, and the first of each plugin is logged', async (t) => {
  const logs: string[] = []
  const app = Fastify({ logger: { level: 'error', stream: { write: (line: string) => void logs.push(line) } } })
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false })
  app.metrics.callbackError('http', new Error('first'))
  app.metrics.callbackError('http', new Error('second'))
  app.metrics.callbackError('db', 'no error at all')
  const text = await scrape(app)
  t.equal(readValue(text, 'metrics_errors_total{plugin="http"}'), 2)
  t.equal(readValue(text, 'metrics_errors_total{plugin="db"}'), 1)
  t.match(logs, [/first/, /"plugin":"db"/])
  t.equal(logs.length, 2)
})

for (const [name, client] of Object.entries(CLIENTS)) {
  t.test(`${name}: a registry outlives its application, and the next one goes on counting in it`, async (t) => {
    const registry = new client.Registry()
    const first = await build(t, { registry, defaultMetrics: true, labels: { app: 'first' } })
    const counter = first.metrics.counter({ name: 'c_total', help: 'C.' })
    counter.inc(2)
    const cpu = readValue(await scrape(first), 'process_cpu_seconds_total{app="first"}')!
    first.metrics.collector('of the first', () => {})
    await first.close()

    const second = await build(t, { registry, defaultMetrics: true, labels: { app: 'second' } })
    t.equal(second.metrics.counter({ name: 'c_total', help: 'C.' }), counter)
    const text = await scrape(second)
    t.match(text, /^c_total\{app="second"\} 2$/m)
    t.notMatch(text, 'of the first')
    const again = readValue(text, 'process_cpu_seconds_total{app="second"}')!
    t.ok(
      again >= cpu && again <= (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
      'nothing is counted twice',
    )
    t.equal(readValue(text, 'metrics_collector_success{app="second",collector="process"}'), 1)
  })

  t.test(`${name}: two applications share a registry, each with its collectors`, async (t) => {
    const registry = new client.Registry()
    const second = await build(t, { registry, defaultMetrics: true, labels: { app: 'second' } })
    second.metrics.counter({ name: 'c_total', help: 'C.' }).inc(2)
    const third = await build(t, { registry, defaultMetrics: true, labels: { app: 'third' } })
    const level = second.metrics.gauge({ name: 'level', help: 'L.' })
    second.metrics.collector('level', () => level.inc())
    const collections = observeCollections(t, third)
    const before = await collections()
    for (let round = 0; round < 200_000; round += 1) new Array(100).fill(round)
    const after = await collections()
    t.equal(after.counted - before.counted, after.seen - before.seen, 'a garbage collection is counted once for both')
    const levelBefore = level.labels().value
    t.equal(
      readValue(await scrape(third), 'level{app="third"}'),
      levelBefore + 1,
      'the collectors of the other application run',
    )
    await second.close()
    t.match(await scrape(third), /^c_total\{app="third"\} 2$/m)
    t.equal(readValue(await scrape(third), 'metrics_collector_success{app="third",collector="process"}'), 1)
    const stillBefore = await collections()
    for (let round = 0; round < 200_000; round += 1) new Array(100).fill(round)
    const stillAfter = await collections()
    t.equal(
      stillAfter.counted - stillBefore.counted,
      stillAfter.seen - stillBefore.seen,
      'the application that stays goes on counting',
    )
  })
}
