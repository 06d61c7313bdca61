/**
 * The metrics of cache-metrics. Names and labels are public API. A cache key is never a label.
 *
 * @module
 */
import type { LabelValues } from '@data20/metrics-core/plugin'

/** The reasons why an entry leaves a cache, named as in lru-cache. */
export const REASONS = ['evict', 'set', 'delete', 'expire', 'fetch'] as const

/** The reason why an entry left a cache. */
export type EvictionReason = (typeof REASONS)[number]

/** How a lookup ended. */
export const RESULTS = ['hit', 'miss', 'stale', 'coalesced', 'error'] as const

/** How a lookup ended: `stale` with a value that was too old, `coalesced` with the value that another caller loaded. */
export type Result = (typeof RESULTS)[number]

export const definitions = {
  hits: {
    type: 'counter',
    name: 'cache_hits_total',
    help: 'Lookups that the cache answered, stale ones included.',
    labelNames: ['cache_type'],
  },
  misses: {
    type: 'counter',
    name: 'cache_misses_total',
    help: 'Lookups that the cache could not answer, those that waited for the load of another caller included.',
    labelNames: ['cache_type'],
  },
  requests: {
    type: 'counter',
    name: 'cache_requests_total',
    help: 'Lookups by how they ended: hit, miss, stale (a value that was too old), coalesced (waited for the load of another caller) or error.',
    labelNames: ['cache_type', 'result'],
  },
  size: {
    type: 'gauge',
    name: 'cache_size_bytes',
    help: 'Size of all entries, as the size calculation of the cache says.',
    labelNames: ['cache_type'],
    unit: 'bytes',
    aggregator: 'sum',
  },
  entries: {
    type: 'gauge',
    name: 'cache_entries',
    help: 'Entries in the cache, those that have expired and not been removed included.',
    labelNames: ['cache_type'],
    aggregator: 'sum',
  },
  evictions: {
    type: 'counter',
    name: 'cache_evictions_total',
    help: 'Values that left the cache: evict made room, set replaced, delete removed, expire was too old, fetch was dropped while it was loaded.',
    labelNames: ['cache_type', 'reason'],
  },
  load: {
    type: 'histogram',
    name: 'cache_load_duration_seconds',
    help: 'Time to load a value that the cache did not have, failed loads included.',
    labelNames: ['cache_type'],
    unit: 'seconds',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60],
  },
} as const

/** The values of labels with a fixed set of values. */
export const labelValues: LabelValues = { reason: REASONS, result: RESULTS }
