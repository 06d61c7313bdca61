/** What is counted of the caches that people use. */
import { setTimeout as sleep } from 'node:timers/promises'
import { assertDocumented, startRedis } from '@data20/dev-services'
import fastifyCaching from '@fastify/caching'
import KeyvRedis from '@keyv/redis'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { createCache } from 'cache-manager'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import Keyv from 'keyv'
import { LRUCache } from 'lru-cache'
import t, { type Test } from 'tap'
import { createStorage } from 'unstorage'
import { cacheMetrics, type ObservableCache } from '../src/index.ts'
import { build, scrape } from './helpers.ts'

/** Observes a cache, and returns a function that returns its lookups by result, and its loads. */
async function watch(t: Test, cache: unknown): Promise<() => Promise<Record<string, number>>> {
  const app = await build(t, { caches: { c: cache as ObservableCache } })
  return async () => {
    const counts: Record<string, number> = {}
    const totals = { hits: 0, misses: 0 }
    for (const line of await scrape(app)) {
      const [, name, result, value] =
        /^cache_(hits_total|misses_total|load_duration_seconds_count|requests_total)\{cache_type="c"(?:,result="(\w+)")?\} (\d+)$/.exec(
          line,
        ) ?? []
      if (name === 'hits_total' || name === 'misses_total')
        totals[name === 'hits_total' ? 'hits' : 'misses'] = Number(value)
      else if (name && Number(value) > 0) counts[result ?? 'loads'] = Number(value)
    }
    const { hit = 0, miss = 0, stale = 0, coalesced = 0 } = counts
    t.same(totals, { hits: hit + stale, misses: miss + coalesced }, 'both counters agree with the results')
    return counts
  }
}

t.test('ioredis and unstorage answer null for a miss', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const redis = new Redis(server.url)
  t.teardown(() => redis.disconnect())
  const storage = createStorage()
  const ofRedis = await watch(t, redis)
  const ofStorage = await watch(t, storage)

  await redis.set('a', '1')
  await redis.get('a')
  await redis.get('b')
  await new Promise((resolve) => redis.get('a', resolve))
  await redis.mget('a', 'b', 'c')
  await redis.mget(['a', 'b'])
  await redis.lpush('list', 'x')
  await t.rejects(redis.get('list'))
  t.same(await ofRedis(), { hit: 4, miss: 4, error: 1 })
  assertDocumented(t, {
    library: 'ioredis',
    counted: '`get`, `mget`, `hmget` by key, with promises and callbacks; `null` is a miss, a rejection an error',
    notCounted: 'pipelines and transactions, other commands',
  })

  await storage.setItem('a', 1)
  await storage.getItem('a')
  await storage.get('a')
  await storage.getItem('b')
  await storage.getItems(['a', 'b'])
  await storage.has('b')
  t.same(await ofStorage(), { hit: 3, miss: 3 })
  assertDocumented(t, {
    library: 'unstorage',
    counted: '`getItem`, `get`, `getItems` by key; `null` is a miss',
    notCounted: '`getItemRaw`, meta data',
  })
})

t.test('keyv takes several keys at once, and a lookup that fails answers undefined', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const keyv = new Keyv(new KeyvRedis(server.url))
  t.teardown(() => keyv.disconnect())
  const down = new Keyv(new KeyvRedis('redis://127.0.0.1:1', { connectionTimeout: 200 }))
  down.on('error', () => {})
  const counts = await watch(t, keyv)
  const ofDown = await watch(t, down)

  await keyv.set('a', 1)
  await keyv.get('a')
  await keyv.get('b')
  await keyv.get(['a', 'b', 'c'])
  await keyv.getMany(['a', 'b'])
  t.same(await counts(), { hit: 3, miss: 4 })
  await Promise.allSettled([down.get('a'), down.get('b')])
  t.same(await ofDown(), { error: 2 })
  assertDocumented(t, {
    library: 'keyv',
    counted: '`get`, `getMany`, `has`, `hasMany` by key; deletions; a lookup that fails is an error',
    notCounted: '`getRaw`, iterators, the size',
  })
})

t.test('wrap of cache-manager and getOrSet of BentoCache: a miss is where the loader runs', async (t) => {
  const managed = createCache()
  const bento = new BentoCache({ default: 'm', stores: { m: bentostore().useL1Layer(memoryDriver({})) } })
  t.teardown(() => bento.disconnectAll())
  for (const { name, cache, wrap } of [
    { name: 'cache-manager', cache: managed, wrap: (key: string, load: () => unknown) => managed.wrap(key, load) },
    {
      name: 'bentocache',
      cache: bento,
      wrap: (key: string, factory: () => unknown) => bento.getOrSet({ key, factory }),
    },
  ]) {
    const counts = await watch(t, cache)
    for (let count = 0; count < 10; count += 1) t.equal(await wrap('k', async () => 1), 1)
    t.same(await counts(), { hit: 9, miss: 1, loads: 1 }, name)
    const slow = async () => {
      await sleep(20)
      return 2
    }
    await Promise.all([wrap('slow', slow), wrap('slow', slow), wrap('slow', slow)])
    t.same(await counts(), { hit: 9, miss: 2, coalesced: 2, loads: 2 }, name)
    await t.rejects(
      wrap('fails', async () => {
        throw new Error('origin down')
      }),
    )
    t.same(await counts(), { hit: 9, miss: 3, coalesced: 2, loads: 3 }, `${name}: a load that fails is a load`)
  }
  const graceful = new BentoCache({ default: 'm', stores: { m: bentostore().useL1Layer(memoryDriver({})) } })
  const ofGraceful = await watch(t, graceful)
  const options = { key: 'k', ttl: 1, grace: '1h' } as const
  await graceful.getOrSet({ ...options, factory: () => 1 })
  await sleep(20)
  t.equal(
    await graceful.getOrSet<number>({
      ...options,
      factory: () => {
        throw new Error('origin down')
      },
    }),
    1,
  )
  t.same(await ofGraceful(), { miss: 1, stale: 1, loads: 2 })
  assertDocumented(t, {
    library: 'cache-manager',
    counted: '`wrap` with its loads, `get`, `mget`, deletions; the stores of several layers as one cache',
    notCounted: '`ttl`, single stores',
  })
  assertDocumented(t, {
    library: 'bentocache',
    counted: '`getOrSet` and `getOrSetForever` with their loads, `get`; grace periods are stale answers',
    notCounted: 'namespaces, unless observed themselves; layers',
  })
})

t.test('a cache that calls back, as @fastify/caching has it', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyCaching, { privacy: 'private' } as never)
  await app.register(cacheMetrics)
  await app.ready()
  const { cache } = app as unknown as { cache: ObservableCache & Record<'get' | 'set', (...args: unknown[]) => void> }
  const counts = await watch(t, cache)
  const call = (method: 'get' | 'set', ...args: unknown[]) =>
    new Promise((resolve) => cache[method](...args, (_error: unknown, value: unknown) => resolve(value)))

  await call('set', 'a', { page: 1 }, 60_000)
  for (let count = 0; count < 10; count += 1) t.ok(await call('get', 'a'))
  await call('get', 'b')
  t.same(await counts(), { hit: 10, miss: 1 })
  const failing = { get: (_key: string, done: (error: Error) => void) => void setImmediate(done, new Error('lost')) }
  const ofFailing = await watch(t, failing)
  await new Promise((resolve) => failing.get('a', resolve))
  t.same(await ofFailing(), { error: 1 })
  assertDocumented(t, { library: '@fastify/caching', counted: '`get` with its callback; `null` is a miss' })
})

t.test('lru-cache: stale and coalesced answers are counted apart, when they are known', async (t) => {
  let isDown = false
  const cache = new LRUCache<string, string>({
    max: 5,
    ttl: 1,
    ttlResolution: 0,
    allowStaleOnFetchRejection: true,
    async fetchMethod() {
      await sleep(5)
      if (isDown) throw new Error('origin down')
      return 'value'
    },
  })
  const counts = await watch(t, cache)
  await Promise.all([cache.fetch('a'), cache.fetch('a'), cache.fetch('a')])
  t.same(await counts(), { miss: 1, coalesced: 2, loads: 1 })
  isDown = true
  await sleep(10)
  t.equal(await cache.fetch('a'), 'value')
  t.equal((await counts()).stale, 1)
  t.equal(cache.get('a', { allowStale: true }), 'value')
  t.equal((await counts()).stale, 2)
  await cache.fetch('b').catch(() => {})
  t.equal((await counts()).miss, 2)
  assertDocumented(t, {
    library: 'lru-cache',
    counted: '`get`, `has`, `fetch`, `forceFetch`, `memo`; stale and coalesced answers; loads; size, bytes, evictions',
    notCounted: '`peek`, iterators; evictions without `disposeHook`',
  })
})
