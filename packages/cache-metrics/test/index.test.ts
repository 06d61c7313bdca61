import Fastify from 'fastify'
import t from 'tap'
import { cacheMetrics } from '../src/index.ts'
import { build, nonZero, scrape } from './helpers.ts'

t.test('record counts what no adapter sees; unknown types are capped', async (t) => {
  const app = await build(t, { types: ['rates'] })

  app.cacheMetrics.record('rates', true)
  app.cacheMetrics.record('rates', true)
  app.cacheMetrics.record('rates', false)
  for (let index = 0; index < 2000; index += 1) app.cacheMetrics.record(`type ${index}`, true)

  const lines = await scrape(app)
  t.ok(lines.includes('cache_hits_total{cache_type="rates"} 2'))
  t.ok(lines.includes('cache_misses_total{cache_type="rates"} 1'))
  t.ok(lines.includes('cache_hits_total{cache_type="__overflow__"} 1000'))
})

t.test('load times what it loads, and settles as that does', async (t) => {
  const app = await build(t, { types: ['rates'], buckets: [0.05, 1] })
  let nowMs = 0
  t.intercept(performance, 'now', { value: () => nowMs })
  const error = new Error('no rates')

  t.equal(
    await app.cacheMetrics.load('rates', async () => {
      await Promise.resolve()
      nowMs += 100
      return 7
    }),
    7,
  )
  t.equal(await app.cacheMetrics.load('rates', () => 8), 8)
  await t.rejects(
    app.cacheMetrics.load('rates', () => {
      throw error
    }),
    error,
  )

  const lines = await scrape(app)
  t.ok(lines.includes('cache_load_duration_seconds_bucket{cache_type="rates",le="0.05"} 2'))
  t.ok(lines.includes('cache_load_duration_seconds_count{cache_type="rates"} 3'))
  const seconds = Number(lines.find((line) => line.startsWith('cache_load_duration_seconds_sum'))!.split(' ')[1])
  t.equal(seconds, 0.1)
})

t.test('a type has one cache, a cache one type, and a cache has a get', async (t) => {
  const cache = new Map()
  const app = await build(t, { caches: { pages: cache } })

  app.cacheMetrics.observe('pages', cache)
  cache.get('a')
  t.strictSame(await nonZero(app), ['cache_misses_total{cache_type="pages"} 1'])

  const expected = { code: 'CACHE_METRICS_ERR_CACHE' }
  t.throws(() => app.cacheMetrics.observe('pages', new Map()), expected)
  t.throws(() => app.cacheMetrics.observe('others', cache), expected)
  t.throws(() => app.cacheMetrics.observe('none', undefined as never), expected)
  t.throws(() => app.cacheMetrics.observe('none', {} as never), {
    message: 'Expected cache `none` to be an object with a method get, got [object Object]',
  })
  await t.rejects(build(t, { types: 'pages' as never }), { code: 'METRICS_ERR_OPTION', message: /`types`/ })
})

t.test('an option that does not exist fails with the name that is meant', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => void (await app.register(cacheMetrics, { cache: [] } as object)), {
    code: 'METRICS_ERR_UNKNOWN_OPTION',
    message: /cache-metrics, got `cache`; did you mean `caches`/,
  })
})
