/**
 * The PromQL expressions of the specification, unedited, and what each must return after known traffic.
 *
 * @module
 */
import type { Sample } from '@data20/dev-services'

/** Counts of what was sent to a backend. */
export interface Traffic {
  /** Requests by `METHOD endpoint status`. */
  requests: Record<string, number>
  /** Executions by `tool status`. */
  executions: Record<string, number>
  /** Queued tasks by `task status`, with the status values of the queue metrics. */
  tasks: Record<string, number>
  /** Lookups by `type hit` or `type miss`. */
  lookups: Record<string, number>
}

/** Throws when the result is wrong. */
type Check = (samples: Sample[], traffic: Traffic) => void

export interface Expression {
  expression: string
  check: Check
}

// The traffic lasts less than any range, so a rate is all of it divided by the range. Prometheus extrapolates by up to
// half a scrape interval at the start, unless the counter was 0 there, and by up to a whole one at the end.
const STRETCH = 0.12
const RATIO_STRETCH = 0.05

const M5 = 300
const H1 = 3600

export const SPECIFICATION: Expression[] = [
  // 2. Metrics Categories: HTTP
  { expression: 'rate(http_requests_total[5m])', check: eachRate(requestsBy(), M5, 'method endpoint status') },
  {
    expression: 'histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m]))',
    check: finiteFor('endpoint', ['/api/tools', '/api/run'], (seconds) => seconds > 0 && seconds <= 10),
  },
  {
    // Both sides keep the status, so the ratio is always 1.
    expression: 'rate(http_errors_total[5m]) / rate(http_requests_total[5m])',
    check: finiteFor('status', ['404', '500'], (ratio) => ratio === 1),
  },
  // Tools
  {
    expression: 'topk(5, sum by (tool_name) (rate(tool_executions_total[1h])))',
    check: (samples, traffic) => {
      expectCount(samples, 5)
      const expected = addUp(executionsBy()(traffic), 'tool_name')
      // With ties, any of the equal tools can be among the five.
      for (const { labels, value } of samples) expectNear(value * H1, expected[labels.tool_name!]!, STRETCH, 'a tool')
      const least = Math.min(...samples.map(({ value }) => value * H1))
      const better = Object.values(expected).filter((count) => count > least * (1 + STRETCH))
      if (better.length > 5) throw new Error('Expected the most used tools')
    },
  },
  {
    expression: `sum by (tool_name) (rate(tool_executions_total{status="completed"}[10m]))
/
sum by (tool_name) (rate(tool_executions_total[10m]))`,
    check: eachRatio('tool_name', executionsBy(['completed']), executionsBy()),
  },
  {
    expression: `rate(tool_execution_duration_seconds_sum[5m])
/
rate(tool_execution_duration_seconds_count[5m])`,
    check: finiteFor('tool_name', ['document_stats', 'search'], (seconds) => seconds > 0 && seconds < 10),
  },
  // Database
  {
    expression: 'sum by (operation) (rate(db_queries_total[5m]))',
    check: finiteFor('operation', ['INSERT', 'SELECT'], (rate) => rate > 0),
  },
  { expression: 'rate(db_slow_queries_total[5m])', check: finiteFor('operation', ['SELECT'], (rate) => rate === 0) },
  {
    expression: 'db_connections_active / (db_connections_active + db_connections_idle)',
    check: finiteFor('pool', ['default'], isBetween(0, 1)),
  },
  // Celery
  { expression: 'sum by (task_name) (rate(celery_tasks_total[5m]))', check: eachRate(tasksBy(), M5, 'task_name') },
  {
    expression: `sum by (task_name) (rate(celery_tasks_total{status="failure"}[10m]))
/
sum by (task_name) (rate(celery_tasks_total[10m]))`,
    check: eachRatio('task_name', tasksBy(['failed']), tasksBy()),
  },
  { expression: 'sum by (queue) (celery_queue_length)', check: finiteFor('queue', ['runs'], (length) => length === 0) },
  // Cache
  {
    expression: `sum by (cache_type) (rate(cache_hits_total[10m]))
/
(sum by (cache_type) (rate(cache_hits_total[10m])) + sum by (cache_type) (rate(cache_misses_total[10m])))`,
    check: eachRatio('cache_type', lookupsBy(['hit']), lookupsBy()),
  },
  { expression: 'sum(rate(cache_hits_total[5m]))', check: oneRate(lookupsBy(['hit']), M5) },
  // System
  { expression: 'avg_over_time(system_cpu_percent[1h])', check: one(isBetween(0, 100)) },
  { expression: '(1 - system_memory_percent / 100) * 100', check: one(isBetween(0, 100)) },
  { expression: '(1 - system_disk_percent / 100) * 100', check: one(isBetween(0, 100)) },
  // Grafana Dashboards
  { expression: 'sum(rate(http_requests_total[5m])) by (endpoint)', check: eachRate(requestsBy(), M5, 'endpoint') },
  {
    expression: `histogram_quantile(0.95,
  sum(rate(http_request_duration_seconds_bucket[5m])) by (le, endpoint)
)`,
    check: finiteFor('endpoint', ['/api/tools', '/api/run'], (seconds) => seconds > 0 && seconds <= 10),
  },
  {
    expression: 'sum(rate(http_errors_total[5m])) / sum(rate(http_requests_total[5m]))',
    check: oneRatio(requestsBy(/ [45]\d\d$/), requestsBy()),
  },
  {
    expression: 'sum by (tool_name, status) (rate(tool_executions_total[5m]))',
    check: eachRate(executionsBy(), M5, 'tool_name status'),
  },
  { expression: 'system_cpu_percent', check: one(isBetween(0, 100)) },
  { expression: 'system_memory_percent', check: one(isBetween(0, 100)) },
  { expression: 'system_disk_percent', check: one(isBetween(0, 100)) },
  // PromQL Queries
  { expression: 'sum(rate(http_requests_total[5m]))', check: oneRate(requestsBy(), M5) },
  { expression: 'sum by (endpoint) (rate(http_requests_total[5m]))', check: eachRate(requestsBy(), M5, 'endpoint') },
  {
    expression: `topk(5,
  histogram_quantile(0.99,
    sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[5m]))
  )
)`,
    check: (samples, traffic) => {
      expectCount(samples, 5)
      finiteFor('endpoint', ['/api/run'], (seconds) => seconds > 0 && seconds <= 10)(samples, traffic)
    },
  },
  {
    expression: `sum(rate(tool_executions_total{status="completed"}[1h]))
/
sum(rate(tool_executions_total[1h]))`,
    check: oneRatio(executionsBy(['completed']), executionsBy()),
  },
  {
    expression: '(db_connections_active / (db_connections_active + db_connections_idle)) * 100',
    check: finiteFor('pool', ['default'], isBetween(0, 100)),
  },
  // The memory of a shared machine can go either way.
  { expression: 'deriv(system_memory_percent[1h])', check: one(Number.isFinite) },
  {
    expression:
      '(sum(rate(cache_hits_total[10m])) / (sum(rate(cache_hits_total[10m])) + sum(rate(cache_misses_total[10m])))) * 100',
    check: oneRatio(lookupsBy(['hit']), lookupsBy(), 100),
  },
]

/** Selects counts of one part of the traffic. */
type Select = (traffic: Traffic) => Record<string, number>

function requestsBy(wanted = /./): Select {
  return ({ requests }) => Object.fromEntries(Object.entries(requests).filter(([key]) => wanted.test(key)))
}

function executionsBy(statuses?: string[]): Select {
  return ({ executions }) => ending(executions, statuses)
}

function tasksBy(statuses?: string[]): Select {
  return ({ tasks }) => ending(tasks, statuses)
}

function lookupsBy(results?: string[]): Select {
  return ({ lookups }) => ending(lookups, results)
}

function ending(counts: Record<string, number>, words?: string[]): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([key]) => !words || words.includes(key.split(' ')[1]!)))
}

/** Sums the counts by the given labels, which are parts of their keys. */
function addUp(counts: Record<string, number>, labels: string): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const [key, count] of Object.entries(counts)) {
    const parts = key.split(' ')
    // A key is `METHOD endpoint status`, or starts with the other label.
    const name =
      parts.length === 3 && labels === 'endpoint' ? parts[1]! : parts.slice(0, labels.split(' ').length).join(' ')
    sums[name] = (sums[name] ?? 0) + count
  }
  return sums
}

function nameOf({ labels }: Sample, names: string): string {
  return names
    .split(' ')
    .map((name) => labels[name])
    .join(' ')
}

/** Each series with traffic has its rate, and every other series has the rate 0. */
function eachRate(select: Select, seconds: number, labels: string): Check {
  return (samples, traffic) => {
    const expected = addUp(select(traffic), labels)
    const actual = addUp(Object.fromEntries(samples.map((sample) => [nameOf(sample, labels), sample.value])), labels)
    for (const name of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      expectNear((actual[name] ?? 0) * seconds, expected[name] ?? 0, STRETCH, name)
    }
  }
}

function eachRatio(label: string, part: Select, whole: Select): Check {
  return (samples, traffic) => {
    const [parts, wholes] = [addUp(part(traffic), label), addUp(whole(traffic), label)]
    for (const [name, count] of Object.entries(wholes)) {
      const sample = samples.find(({ labels }) => labels[label] === name)
      if (!sample) throw new Error(`Expected a sample of ${name}`)
      expectNear(sample.value, (parts[name] ?? 0) / count, RATIO_STRETCH, name)
    }
  }
}

function oneRate(select: Select, seconds: number): Check {
  return (samples, traffic) => {
    expectCount(samples, 1)
    expectNear(samples[0]!.value * seconds, total(select(traffic)), STRETCH, 'sum')
  }
}

function oneRatio(part: Select, whole: Select, factor = 1): Check {
  return (samples, traffic) => {
    expectCount(samples, 1)
    expectNear(samples[0]!.value, (factor * total(part(traffic))) / total(whole(traffic)), RATIO_STRETCH, 'ratio')
  }
}

function one(isRight: (value: number) => boolean): Check {
  return (samples) => {
    expectCount(samples, 1)
    if (!isRight(samples[0]!.value)) throw new Error(`Got ${samples[0]!.value}`)
  }
}

/** Each of these label values has a series, and every number among them is right. */
function finiteFor(label: string, values: string[], isRight: (value: number) => boolean): Check {
  return (samples) => {
    for (const value of values) {
      const found = samples.filter(({ labels, value: number }) => labels[label] === value && !Number.isNaN(number))
      if (found.length === 0) throw new Error(`Expected a number for ${label}="${value}"`)
      for (const { value: number } of found) {
        if (!isRight(number)) throw new Error(`Got ${number} for ${label}="${value}"`)
      }
    }
  }
}

function isBetween(low: number, high: number): (value: number) => boolean {
  return (value) => value >= low && value <= high
}

function expectCount(samples: Sample[], count: number): void {
  if (samples.length !== count) throw new Error(`Expected ${count} series, got ${samples.length}`)
}

function expectNear(actual: number, expected: number, tolerance: number, what: string): void {
  if (Math.abs(actual - expected) > expected * tolerance + 1e-9) {
    throw new Error(`Expected ${what} to be about ${expected}, got ${actual}`)
  }
}

function total(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
