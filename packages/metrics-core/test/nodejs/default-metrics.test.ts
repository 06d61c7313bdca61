import { readFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { readValue, until } from '@data20/dev-services'
import t from 'tap'
import { build, observeCollections, scrape } from '../helpers.ts'

t.test('the default metrics agree with what Node.js says of this process', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const start = performance.now()
  while (performance.now() - start < 50);
  const text = await scrape(app)
  const { user, system } = process.cpuUsage()
  const total = readValue(text, 'process_cpu_seconds_total')!
  t.ok(total > 0.05 && total <= (user + system) / 1e6, `${total} s`)
  const near = (series: string, expected: number) => {
    const value = readValue(text, series)!
    t.ok(value > expected * 0.7 && value < expected * 1.3, `${series} ${value}, near ${expected}`)
  }
  near('process_resident_memory_bytes', process.memoryUsage.rss())
  near('nodejs_heap_size_total_bytes', process.memoryUsage().heapTotal)
  near('process_start_time_seconds', Date.now() / 1000 - process.uptime())
  const utilization = readValue(text, 'nodejs_eventloop_utilization_ratio')!
  t.ok(utilization > 0 && utilization <= 1, `${utilization}`)
})

t.test('what collectors do is not in the numbers of the event loop and of the resources', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  app.metrics.collector('busy', async () => {
    const start = performance.now()
    while (performance.now() - start < 1000);
    await readFile('/proc/self/status').catch(() => {})
  })
  const timers = Array.from({ length: 3 }, () => setTimeout(() => {}, 1e6))
  t.teardown(() => timers.forEach(clearTimeout))
  const truth = countOf(process.getActiveResourcesInfo(), 'Timeout')
  const reads = countOf(process.getActiveResourcesInfo(), 'FSReqPromise')
  const text = await scrape(app)
  t.ok(readValue(text, 'nodejs_eventloop_lag_seconds')! < 0.5, 'the collector holds the event loop for a second')
  t.equal(readValue(text, 'nodejs_active_resources{type="Timeout"}'), truth)
  t.ok((readValue(text, 'nodejs_active_resources{type="FSReqPromise"}') ?? 0) <= reads)
})

t.test('the delay of an idle event loop is near zero, without the interval of its samples', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const text = await until('samples of the delay', async () => {
    const text = await scrape(app)
    return readValue(text, 'nodejs_eventloop_lag_max_seconds') === undefined ? undefined : text
  })
  const min = readValue(text, 'nodejs_eventloop_lag_min_seconds')!
  t.ok(min >= 0 && min < 0.008, `${min} s`)
})

t.test('300,000 timers are counted by type', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const before = countOf(process.getActiveResourcesInfo(), 'Timeout')
  const timers = Array.from({ length: 300_000 }, () => setTimeout(() => {}, 1e6))
  t.teardown(() => timers.forEach(clearTimeout))
  t.equal(readValue(await scrape(app), 'nodejs_active_resources{type="Timeout"}'), before + 300_000)
})

function countOf(types: string[], wanted: string): number {
  return types.filter((type) => type === wanted).length
}

t.test('every garbage collection is counted', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const collections = observeCollections(t, app)
  const before = await collections()
  let garbage: unknown[] = []
  for (let round = 0; round < 300_000; round += 1) garbage = new Array(100).fill(round)
  const after = await collections()
  t.ok(after.seen - before.seen > 5 && garbage.length > 0, `${after.seen - before.seen} collections`)
  t.equal(after.counted - before.counted, after.seen - before.seen)
})

t.test('without /proc the default metrics leave out what is read from it', async (t) => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!
  Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' })
  const app = await build(t, { defaultMetrics: true }).finally(() =>
    Object.defineProperty(process, 'platform', platform),
  )
  const text = await scrape(app)
  t.same(text.match(/^metrics_collector_success\{.*\} 0$/gm), null)
  t.notMatch(text, /process_(open_fds|max_fds|virtual_memory_bytes|heap_bytes)/)
  t.ok(readValue(text, 'process_resident_memory_bytes'))
})
