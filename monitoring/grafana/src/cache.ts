/**
 * Whether the caches are worth their memory.
 *
 * @module
 */
import type { Dashboard } from './dashboard.ts'
import { JOB, TARGET, WINDOW } from './panel.ts'

export const cache: Dashboard = {
  uid: 'cache',
  title: 'Caches',
  description: 'Hits and misses, size, what leaves the cache and why, and what a miss costs.',
  metric: 'cache_hits_total',
  rows: [
    {
      title: 'Lookups',
      panels: [
        {
          title: 'Hit ratio',
          description: 'Share of lookups that the cache answered, over 10 minutes, as the alert sees it.',
          unit: 'percentunit',
          threshold: 0.5,
          isLowBad: true,
          alert: 'CacheHitRateLow',
          max: 1,
          queries: [
            {
              expression: `job_cache_type:cache_hits_per_lookup:ratio_rate10m{${JOB}}`,
              legend: '{{job}} {{cache_type}}',
            },
          ],
        },
        {
          title: 'Hits and misses',
          description: 'Lookups per second that the cache could and could not answer.',
          unit: 'ops',
          isStacked: true,
          queries: [
            {
              expression: `sum by (cache_type) (rate(cache_hits_total{${TARGET}}${WINDOW}))`,
              legend: '{{cache_type}} hits',
            },
            {
              expression: `sum by (cache_type) (rate(cache_misses_total{${TARGET}}${WINDOW}))`,
              legend: '{{cache_type}} misses',
            },
          ],
        },
        {
          title: 'Time spent loading',
          description:
            'Seconds of loading per second: what misses cost. Only loads that go through `cacheMetrics.load`.',
          unit: 's',
          queries: [
            {
              expression: `sum by (cache_type) (rate(cache_load_duration_seconds_sum{${TARGET}}${WINDOW}))`,
              legend: '{{cache_type}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Content',
      panels: [
        {
          title: 'Size',
          description: 'Size of all entries, as the size calculation of the cache says.',
          unit: 'bytes',
          queries: [{ expression: `sum by (cache_type) (cache_size_bytes{${TARGET}})`, legend: '{{cache_type}}' }],
        },
        {
          title: 'Entries',
          description: 'Entries, those that have expired and not been removed included.',
          unit: 'none',
          queries: [{ expression: `sum by (cache_type) (cache_entries{${TARGET}})`, legend: '{{cache_type}}' }],
        },
        {
          title: 'Evictions by reason',
          description: 'Values that left the cache per second. Many `evict`: the cache is too small.',
          unit: 'ops',
          queries: [
            {
              expression: `sum by (cache_type, reason) (rate(cache_evictions_total{${TARGET}}${WINDOW}))`,
              legend: '{{cache_type}} {{reason}}',
            },
          ],
        },
      ],
    },
  ],
}
