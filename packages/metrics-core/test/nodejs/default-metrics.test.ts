import { performance } from 'node:perf_hooks'
import { readValue } from '@data20/dev-services'
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
