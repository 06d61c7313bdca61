import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { LRUCache } from 'lru-cache'
import t, { type Test } from 'tap'
import { type CacheMetricsOptions, cacheMetrics, disposeHook, type ObservableCache } from '../src/index.ts'

async function build(t: Test, options: CacheMetricsOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cacheMetrics, options)
  return app
}

/** The lines of our series, without those of metrics-core. */
async function scrape(app: FastifyInstance): Promise<string[]> {
  const response = await app.inject('/metrics')
  return response.body.split('\n').filter((line) => /^cache_/.test(line))
}

/** The series that are not at zero; the histogram's only as far as its count. */
async function nonZero(app: FastifyInstance): Promise<string[]> {
  return (await scrape(app)).filter((line) => !/ 0$|_bucket|_sum/.test(line))
}

interface TestCache extends ObservableCache {
  get(key: string): unknown
  has(key: string): unknown
  set(key: string, value: unknown): unknown
  delete(key: string): unknown
}

class SyncCache implements TestCache {
  readonly values: Record<string, unknown> = {}
  get(key: string): unknown {
    return this.values[key]
  }
  has(key: string): boolean {
    return key in this.values
  }
  set(key: string, value: unknown): this {
    this.values[key] = value
    return this
  }
  delete(key: string): boolean {
    const wasThere = this.has(key)
    Reflect.deleteProperty(this.values, key)
    return wasThere
  }
}

class AsyncCache implements TestCache {
  readonly #cache = new SyncCache()
  async get(key: string): Promise<unknown> {
    await sleep(1)
    if (key === 'broken') throw new Error('connection lost')
    return this.#cache.get(key)
  }
  async has(key: string): Promise<boolean> {
    await sleep(1)
    return this.#cache.has(key)
  }
  async set(key: string, value: unknown): Promise<void> {
    this.#cache.set(key, value)
  }
  /** As Redis does it. */
  async delete(key: string): Promise<number> {
    return this.#cache.delete(key) ? 1 : 0
  }
}

t.test('names, types, help texts and labels are public API', async (t) => {
  const cache = new LRUCache<string, string>({ maxSize: 100, sizeCalculation: () => 7, dispose: disposeHook() })
  const app = await build(t, { caches: { pages: cache }, types: ['rates'], buckets: [1] })

  const response = await app.inject('/metrics')
  const lines = response.body.split('\n').filter((line) => /^(# (HELP|TYPE) )?cache_/.test(line))

  t.strictSame(lines, [
    '# HELP cache_hits_total Lookups that the cache answered.',
    '# TYPE cache_hits_total counter',
    'cache_hits_total{cache_type="rates"} 0',
    'cache_hits_total{cache_type="pages"} 0',
    '# HELP cache_misses_total Lookups that the cache could not answer.',
    '# TYPE cache_misses_total counter',
    'cache_misses_total{cache_type="rates"} 0',
    'cache_misses_total{cache_type="pages"} 0',
    '# HELP cache_size_bytes Size of all entries, as the size calculation of the cache says.',
    '# TYPE cache_size_bytes gauge',
    'cache_size_bytes{cache_type="pages"} 0',
    '# HELP cache_entries Entries in the cache, those that have expired and not been removed included.',
    '# TYPE cache_entries gauge',
    'cache_entries{cache_type="pages"} 0',
    '# HELP cache_evictions_total Values that left the cache: evict made room, set replaced, delete removed, expire was too old, fetch was dropped while it was loaded.',
    '# TYPE cache_evictions_total counter',
    'cache_evictions_total{cache_type="pages",reason="evict"} 0',
    'cache_evictions_total{cache_type="pages",reason="set"} 0',
    'cache_evictions_total{cache_type="pages",reason="delete"} 0',
    'cache_evictions_total{cache_type="pages",reason="expire"} 0',
    'cache_evictions_total{cache_type="pages",reason="fetch"} 0',
    '# HELP cache_load_duration_seconds Time to load a value that the cache did not have, failed loads included.',
    '# TYPE cache_load_duration_seconds histogram',
    'cache_load_duration_seconds_bucket{cache_type="rates",le="1.0"} 0',
    'cache_load_duration_seconds_bucket{cache_type="rates",le="+Inf"} 0',
    'cache_load_duration_seconds_sum{cache_type="rates"} 0',
    'cache_load_duration_seconds_count{cache_type="rates"} 0',
    'cache_load_duration_seconds_bucket{cache_type="pages",le="1.0"} 0',
    'cache_load_duration_seconds_bucket{cache_type="pages",le="+Inf"} 0',
    'cache_load_duration_seconds_sum{cache_type="pages"} 0',
    'cache_load_duration_seconds_count{cache_type="pages"} 0',
  ])
})

t.test('the default bounds of a load reach from a millisecond to a minute', async (t) => {
  const app = await build(t, { types: ['rates'] })

  const bounds = (await scrape(app)).map((line) => /le="(.*)"/.exec(line)?.[1]).filter((bound) => bound !== undefined)

  t.equal(bounds.join(' '), '0.001 0.005 0.01 0.05 0.1 0.5 1.0 5.0 10.0 30.0 60.0 +Inf')
})

const kinds: Record<string, { create(): TestCache; hasEntries: boolean }> = {
  Map: { create: () => new Map<string, unknown>(), hasEntries: true },
  'a synchronous cache': { create: () => new SyncCache(), hasEntries: false },
  'an asynchronous cache': { create: () => new AsyncCache(), hasEntries: false },
  'lru-cache': {
    create: () => new LRUCache<string, object>({ max: 5, dispose: disposeHook() }) as never,
    hasEntries: true,
  },
}

for (const [kind, { create, hasEntries }] of Object.entries(kinds)) {
  t.test(`contract: ${kind}`, async (t) => {
    await t.test('a lookup is a hit or a miss, and an answer is what the cache answers', async (t) => {
      const cache = create()
      const app = await build(t, { caches: { pages: cache } })

      await cache.set('a', 'value of a')
      t.equal(await cache.get('a'), 'value of a')
      t.equal(await cache.get('a'), 'value of a')
      t.equal(await cache.get('b'), undefined)

      t.strictSame(await nonZero(app), [
        'cache_hits_total{cache_type="pages"} 2',
        'cache_misses_total{cache_type="pages"} 1',
        ...(hasEntries ? ['cache_entries{cache_type="pages"} 1'] : []),
      ])
    })

    await t.test('has before get is one lookup', async (t) => {
      const cache = create()
      const app = await build(t, { caches: { pages: cache } })
      const look = async (key: string) => ((await cache.has(key)) ? cache.get(key) : undefined)

      await cache.set('a', 1)
      t.equal(await look('a'), 1)
      t.equal(await look('b'), undefined)
      t.equal(await look('c'), undefined)

      const lines = await nonZero(app)
      t.match(lines, ['cache_hits_total{cache_type="pages"} 1', 'cache_misses_total{cache_type="pages"} 2'])
    })

    await t.test('a deletion counts when there was something to delete', async (t) => {
      const cache = create()
      const app = await build(t, { caches: { pages: cache } })

      await cache.set('a', 1)
      t.ok(await cache.delete('a'))
      t.notOk(await cache.delete('a'))

      t.strictSame(await nonZero(app), ['cache_evictions_total{cache_type="pages",reason="delete"} 1'])
    })

    await t.test('hits and misses exist at zero, and no key is exposed', async (t) => {
      const cache = create()
      const app = await build(t, { caches: { pages: cache } })
      t.ok((await scrape(app)).includes('cache_hits_total{cache_type="pages"} 0'))
      t.ok((await scrape(app)).includes('cache_misses_total{cache_type="pages"} 0'))

      await cache.set('secret-key', 1)
      await cache.get('secret-key')

      t.notMatch((await app.inject('/metrics')).body, 'secret-key')
    })

    await t.test('closing puts the cache back, and it looks the same all the while', async (t) => {
      const cache = create()
      const before = Reflect.ownKeys(cache)
      const enumerable = Object.keys(cache)
      const app = await build(t, { caches: { pages: cache } })
      t.ok(Object.hasOwn(cache, 'get'))
      t.strictSame(Object.keys(cache), enumerable)

      await app.close()

      t.strictSame(Reflect.ownKeys(cache), before)
      await cache.set('a', 1)
      t.equal(await cache.get('a'), 1)
    })

    await t.test('two applications count for themselves', async (t) => {
      const cache = create()
      const first = await build(t, { caches: { pages: cache } })
      const second = await build(t, { caches: { pages: cache, others: create() } })

      await cache.get('a')

      t.strictSame(await nonZero(first), ['cache_misses_total{cache_type="pages"} 1'])
      t.strictSame(await nonZero(second), ['cache_misses_total{cache_type="pages"} 1'])
    })
  })
}

t.test('lru-cache: a value that leaves counts under its reason, and the own dispose is called as before', async (t) => {
  const calls: unknown[] = []
  const own = function (this: unknown, value: string, key: string, reason: string): void {
    calls.push([this === cache, value, key, reason])
  }
  const cache: LRUCache<string, string> = new LRUCache<string, string>({
    maxSize: 10,
    sizeCalculation: (value) => value.length,
    ttl: 60_000,
    dispose: disposeHook(own),
  })
  const app = await build(t, { caches: { pages: cache } })

  cache.set('evicted', '12345')
  cache.set('set', '12345')
  cache.set('deleted', '123')
  cache.set('set', '1234')
  cache.set('expired', '1', { ttl: 1 })
  await sleep(20)
  cache.get('expired')
  cache.delete('deleted')

  t.strictSame(calls, [
    [true, '12345', 'evicted', 'evict'],
    [true, '12345', 'set', 'set'],
    [true, '1', 'expired', 'expire'],
    [true, '123', 'deleted', 'delete'],
  ])
  t.strictSame(await nonZero(app), [
    'cache_misses_total{cache_type="pages"} 1',
    'cache_size_bytes{cache_type="pages"} 4',
    'cache_entries{cache_type="pages"} 1',
    'cache_evictions_total{cache_type="pages",reason="evict"} 1',
    'cache_evictions_total{cache_type="pages",reason="set"} 1',
    'cache_evictions_total{cache_type="pages",reason="delete"} 1',
    'cache_evictions_total{cache_type="pages",reason="expire"} 1',
  ])

  await app.close()
  cache.clear()
  t.equal(calls.length, 5, 'after closing the own dispose goes on')
})

t.test('lru-cache: what it does not know is not exposed as 0', async (t) => {
  const app = await build(t, { caches: { pages: new LRUCache<string, string>({ max: 2 }) } })

  const text = (await scrape(app)).join('\n')

  t.notMatch(text, 'cache_size_bytes')
  t.notMatch(text, 'cache_evictions_total')
  t.match(text, 'cache_entries{cache_type="pages"} 0')
})

t.test('lru-cache: fetch and memo are lookups', async (t) => {
  const cache = new LRUCache<string, string>({
    max: 5,
    fetchMethod: async (key) => `fetched ${key}`,
    memoMethod: (key) => `made ${key}`,
  })
  const plain = new LRUCache<string, string>({ max: 5 })
  const app = await build(t, { caches: { pages: cache, plain } })

  t.equal(await cache.fetch('a'), 'fetched a')
  t.equal(await cache.fetch('a'), 'fetched a')
  t.equal(await cache.forceFetch('a', {}), 'fetched a')
  t.equal(await cache.fetch('a', { forceRefresh: true }), 'fetched a')
  t.equal(cache.memo('b'), 'made b')
  t.equal(cache.memo('b'), 'made b')
  const status: LRUCache.Status<string, string> = {}
  t.equal(await plain.fetch('c', { status }), undefined)
  t.equal(status.fetch, 'get', 'the own status is filled')
  plain.set('c', 'c')
  t.equal(await plain.fetch('c'), 'c')

  const lines = await nonZero(app)
  t.ok(lines.includes('cache_hits_total{cache_type="pages"} 3'), lines.join())
  t.ok(lines.includes('cache_misses_total{cache_type="pages"} 3'))
  t.ok(lines.includes('cache_hits_total{cache_type="plain"} 1'))
  t.ok(lines.includes('cache_misses_total{cache_type="plain"} 1'))
})

t.test('a promise in a Map is the value: a hit, whatever it becomes, and the same promise', async (t) => {
  const cache = new Map<string, Promise<unknown>>()
  const app = await build(t, { caches: { pages: cache } })
  const promise = Promise.resolve(undefined)

  cache.set('a', promise)

  t.equal(cache.get('a'), promise)
  await promise
  t.strictSame(await nonZero(app), ['cache_hits_total{cache_type="pages"} 1', 'cache_entries{cache_type="pages"} 1'])
})

t.test('a lookup that fails is neither hit nor miss, and fails for the caller', async (t) => {
  const cache = new AsyncCache()
  const app = await build(t, { caches: { pages: cache } })

  await t.rejects(cache.get('broken'), { message: 'connection lost' })

  t.strictSame(await nonZero(app), [])
})

t.test('null is a value, and a miss where the application says so', async (t) => {
  const values = new Map([['a', null]])
  const remote = { get: async (_key: string) => null }
  const app = await build(t, { caches: { values } })
  app.cacheMetrics.observe('remote', remote, { nullIsMiss: true })

  values.get('a')
  await remote.get('a')

  const lines = await nonZero(app)
  t.ok(lines.includes('cache_hits_total{cache_type="values"} 1'))
  t.ok(lines.includes('cache_misses_total{cache_type="remote"} 1'))
})

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
  const error = new Error('no rates')

  t.equal(
    await app.cacheMetrics.load('rates', async () => {
      await sleep(100)
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
  t.ok(seconds > 0.095 && seconds < 0.2, `${seconds} s`)
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
