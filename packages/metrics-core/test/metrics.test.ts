import { promtool, readValue, runTool, toolOrSkip } from '@data20/dev-services'
import t from 'tap'
import { build, scrape } from './helpers.ts'

/** The metrics of Node.js and of the process: names and types. */
const DEFAULT_METRICS = [
  'nodejs_active_handles gauge',
  'nodejs_active_requests gauge',
  'nodejs_active_resources gauge',
  ...['max', 'mean', 'min', 'p50', 'p90', 'p99', 'stddev'].map((what) => `nodejs_eventloop_lag_${what}_seconds gauge`),
  'nodejs_eventloop_lag_seconds gauge',
  'nodejs_eventloop_utilization_ratio gauge',
  'nodejs_external_memory_bytes gauge',
  'nodejs_gc_duration_seconds histogram',
  'nodejs_heap_size_limit_bytes gauge',
  'nodejs_heap_size_total_bytes gauge',
  'nodejs_heap_size_used_bytes gauge',
  'nodejs_heap_space_size_available_bytes gauge',
  'nodejs_heap_space_size_total_bytes gauge',
  'nodejs_heap_space_size_used_bytes gauge',
  'nodejs_heap_used_ratio gauge',
  'nodejs_version_info gauge',
  'process_cpu_seconds_total counter',
  'process_cpu_system_seconds_total counter',
  'process_cpu_user_seconds_total counter',
  'process_resident_memory_bytes gauge',
  'process_start_time_seconds gauge',
]
const LINUX_METRICS = [
  'process_heap_bytes gauge',
  'process_max_fds gauge',
  'process_open_fds gauge',
  'process_open_fds_ratio gauge',
  'process_virtual_memory_bytes gauge',
]

t.test('the names, types, labels and help texts of our own metrics are these', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const { metrics } = app
  metrics.callbackError('test', new Error('once'))
  metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a'] })
  metrics.collector('nothing', () => {})
  const first = await scrape(app)
  const text = await scrape(app)
  const own = text.match(/^# HELP (metrics_|app_).*\n# TYPE .*\n.*$/gm)!.map((block) => {
    const [, name, help, type, labels] = /^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)\n[^{ ]+(?:\{(.*)\})?/.exec(block)!
    return [name, type, [...(labels ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label).join(), help].join(' | ')
  })
  t.same(own.sort(), [
    'app_info | gauge | name,node_version,version | Name and version of the application, and the Node.js version; always 1.',
    'metrics_collector_duration_seconds | gauge | collector | Duration of the last run of a collector, at most its deadline.',
    'metrics_collector_last_success_timestamp_seconds | gauge | collector | Time of the last success of a collector in seconds since the epoch; its values are as old as that.',
    'metrics_collector_success | gauge | collector | Whether the last run of a collector succeeded before its deadline.',
    "metrics_errors_total | counter | plugin | Errors thrown by the application's own callbacks, by the plugin that called them.",
    'metrics_labels_truncated_total | counter | metric | Label values of a metric that were longer than maxLabelLength and were cut.',
    'metrics_scrape_duration_seconds | histogram | le | Time from a scrape request to its exposition, collectors included.',
    'metrics_scrapes_total | counter | status | Scrapes by HTTP status of the response.',
    'metrics_series | gauge |  | Series in the last exposition.',
    'metrics_series_overflow_total | counter | metric | Observations on the overflow series of a metric that has reached its cardinality limit.',
  ])
  t.equal(readValue(text, `app_info{name="test",node_version="${process.version}",version="1"}`), 1)
  t.equal(
    readValue(text, 'metrics_series'),
    first.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length,
  )
})

t.test('the names and types of the default metrics are these', async (t) => {
  const app = await build(t, { defaultMetrics: true })
  const text = await scrape(app)
  const defaults = [...text.matchAll(/^# TYPE ((?:nodejs|process)_\S+) (\S+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  )
  t.same(defaults.sort(), [...DEFAULT_METRICS, ...(process.platform === 'linux' ? LINUX_METRICS : [])].sort())
})

t.test('promtool finds no fault in our own metrics', async (t) => {
  const linter = await toolOrSkip(t, promtool)
  const app = await build(t, { defaultMetrics: true })
  if (linter)
    t.match(await runTool(linter, ['check', 'metrics'], { input: await scrape(app) }), { code: 0, stderr: '' })
})
