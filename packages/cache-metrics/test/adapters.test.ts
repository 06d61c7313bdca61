/** All adapters pass one contract. Afterwards come the differences between them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import t from 'tap'
import { disposeHook } from '../src/index.ts'
import { AsyncCache, build, nonZero, SyncCache, scrape, type TestCache } from './helpers.ts'

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
  t.test(`${kind}: a lookup is a hit or a miss, and an answer is what the cache answers`, async (t) => {
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

  t.test(`${kind}: has before get is one lookup`, async (t) => {
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

  t.test(`${kind}: a deletion counts when there was something to delete`, async (t) => {
    const cache = create()
    const app = await build(t, { caches: { pages: cache } })

    await cache.set('a', 1)
    t.ok(await cache.delete('a'))
    t.notOk(await cache.delete('a'))

    t.strictSame(await nonZero(app), ['cache_evictions_total{cache_type="pages",reason="delete"} 1'])
  })

  t.test(`${kind}: hits and misses exist at zero, and no key is exposed`, async (t) => {
    const cache = create()
    const app = await build(t, { caches: { pages: cache } })
    t.ok((await scrape(app)).includes('cache_hits_total{cache_type="pages"} 0'))
    t.ok((await scrape(app)).includes('cache_misses_total{cache_type="pages"} 0'))

    await cache.set('secret-key', 1)
    await cache.get('secret-key')

    t.notMatch((await app.inject('/metrics')).body, 'secret-key')
  })

  t.test(`${kind}: closing puts the cache back, and it looks the same all the while`, async (t) => {
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

  t.test(`${kind}: two applications count for themselves`, async (t) => {
    const cache = create()
    const first = await build(t, { caches: { pages: cache } })
    const second = await build(t, { caches: { pages: cache, others: create() } })

    await cache.get('a')

    t.strictSame(await nonZero(first), ['cache_misses_total{cache_type="pages"} 1'])
    t.strictSame(await nonZero(second), ['cache_misses_total{cache_type="pages"} 1'])
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
