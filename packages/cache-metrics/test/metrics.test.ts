import { LRUCache } from 'lru-cache'
import t from 'tap'
import { disposeHook } from '../src/index.ts'
import { build, scrape } from './helpers.ts'

t.test('names, types, help texts and labels are public API', async (t) => {
  const cache = new LRUCache<string, string>({ maxSize: 100, sizeCalculation: () => 7, dispose: disposeHook() })
  const app = await build(t, { caches: { pages: cache }, types: ['rates'], buckets: [1] })

  const response = await app.inject('/metrics')
  const lines = response.body.split('\n').filter((line) => /^(# (HELP|TYPE) )?cache_/.test(line))

  t.strictSame(lines, [
    '# HELP cache_hits_total Lookups that the cache answered, stale ones included.',
    '# TYPE cache_hits_total counter',
    'cache_hits_total{cache_type="rates"} 0',
    'cache_hits_total{cache_type="pages"} 0',
    '# HELP cache_misses_total Lookups that the cache could not answer, those that waited for the load of another caller included.',
    '# TYPE cache_misses_total counter',
    'cache_misses_total{cache_type="rates"} 0',
    'cache_misses_total{cache_type="pages"} 0',
    '# HELP cache_requests_total Lookups by how they ended: hit, miss, stale (a value that was too old), coalesced (waited for the load of another caller) or error.',
    '# TYPE cache_requests_total counter',
    ...['rates', 'pages'].flatMap((type) =>
      ['hit', 'miss', 'stale', 'coalesced', 'error'].map(
        (result) => `cache_requests_total{cache_type="${type}",result="${result}"} 0`,
      ),
    ),
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
