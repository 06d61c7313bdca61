import { readValue } from '@data20/dev-services'
import t from 'tap'
import { toPortable } from '../../src/cluster/aggregate.ts'
import { assertParses, CLIENTS } from '../clients.ts'
import { runFixture } from '../helpers.ts'

/** The cluster file of `@prometheus-io/client` calls iterator helpers, which Node.js has from version 22. */
const hasIteratorHelpers = 'map' in Object.getPrototypeOf(Object.getPrototypeOf([].values()))

interface Step {
  text: string
  open: string
  milliseconds: number
}

/** What the three workers count together. */
const SUMS = {
  'c_total{shared="yes",worker=""}': 6,
  'c_total{shared="",worker="2"}': 2,
  their_total: 6,
  h_sum: 6,
  h_count: 3,
  'h_bucket{le="1.5"}': 1,
  'h_bucket{le="+Inf"}': 3,
}
/** After worker 1 has counted 100 more. */
const LATER_SUMS = { ...SUMS, 'c_total{shared="yes",worker=""}': 106 }
const SUCCESS = 'metrics_collector_success{collector="cluster"}'
/** The sums when the client aggregates the cluster itself. */
const CLIENT_SUMS = {
  'c_total{shared="yes",worker=""}': 6,
  their_total: 6,
  h_sum: 6,
  'h_bucket{le="1.5"}': 1,
  g_max: 3,
  g_min: 1,
  g_average: 2,
  g_sum: 6,
}

// The clusters of both clients run side by side: they wait most of the time.
const runs = Object.keys(CLIENTS).map((name) => {
  const canAggregate = name === 'prom-client' || hasIteratorHelpers
  return { name, canAggregate, run: runFixture('cluster.mjs', [name, canAggregate ? 'aggregator' : '']) }
})

for (const { name, canAggregate, run } of runs) {
  t.test(`${name}: a primary and its workers`, async (t) => {
    const { stdout, stderr, code } = await run
    t.match({ code, stderr }, { code: 0, stderr: '' }, 'the processes ended by themselves')
    const steps = new Map<string, Step>()
    for (const line of stdout.trim().split('\n')) {
      const { step, ...result } = JSON.parse(line)
      steps.set(step, result)
    }
    const check = (step: string, expected: Record<string, number | undefined>) => {
      const { text, open } = steps.get(step)!
      for (const [series, value] of Object.entries(expected)) {
        t.equal(readValue(text, series), value, `${step}: ${series}`)
        t.equal(readValue(open, series), value)
      }
    }

    t.comment('the primary exposes all workers as one')
    const gauges = { g_sum: 6, g_max: 3, g_min: 1, g_average: 2, g_omit: undefined, g_infinite: Infinity }
    check('three workers', { ...SUMS, ...gauges, [SUCCESS]: 1 })
    const { text, open } = steps.get('three workers')!
    t.ok([1, 2, 3].includes(readValue(text, 'g_first')!))
    t.equal(readValue(text, 'g_collected'), 3, 'collectors of the workers ran')
    t.match(open, /^c_total\{shared="yes",worker=""\} 6 # \{trace_id="[123]"\} [123] [\d.]+$/m)
    await assertParses(t, open)

    t.comment('a worker that does not answer keeps its last values, and nobody waits for it')
    check('worker 3 is not waited for', { ...SUMS, g_sum: 6, g_max: 3 })
    check('worker 3 is silent', { ...SUMS, g_sum: 6, g_max: 3, [SUCCESS]: 0 })
    // The scraper announced 0.4 s, the deadline is 12 s, and the fixture lets the worker go on after that only.
    t.ok(steps.get('worker 3 is not waited for')!.milliseconds < 11_000)
    check('worker 3 is back', { ...SUMS, [SUCCESS]: 1 })

    t.comment('the counts of workers that were killed, have closed or have left stay in the sums')
    check('worker 2 was killed', { ...SUMS, g_sum: 4, g_max: 3, g_infinite: 0, [SUCCESS]: 1 })
    check('worker 1 has closed', { ...LATER_SUMS, g_sum: 4, [SUCCESS]: 1 })
    check('worker 1 has left', { ...LATER_SUMS, g_sum: 3, g_min: 3 })
    check('worker 3 has left', { ...LATER_SUMS, 'many_total{number="19999"}': 1, g_sum: undefined })

    const [hung, back] = ['worker 4 exits', 'the primary is back'].map((step) => [...steps.keys()].indexOf(step))
    t.ok(hung! > 0 && hung! < back!, 'a primary that hangs keeps no worker from closing')
  })

  if (!canAggregate) {
    t.comment(`clusterMetrics() of ${name} is left out: it needs Node.js 22, this is ${process.version}`)
    continue
  }
  t.test(`${name}: clusterMetrics() of the client sums our instruments`, async (t) => {
    const { stdout } = await run
    const steps = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Step & { step: string })
    const { text } = steps.find(({ step }) => step === 'client')!
    for (const [series, value] of Object.entries(CLIENT_SUMS)) t.equal(readValue(text, series), value, series)
  })
}

t.test('WorkerRegistry of the client sums what applications in worker threads have counted', async (t) => {
  const { stdout, stderr, code } = await runFixture('threads.mjs')
  t.match({ stderr, code }, { stderr: '', code: 0 })
  const sums = { 'c_total{a="x"}': 3, 'h_bucket{le="1.0"}': 1, h_sum: 3, h_count: 2, g: 2 }
  for (const [series, value] of Object.entries(sums)) t.equal(readValue(stdout, series), value, series)
})

t.test('a worker sends labels as strings, because JSON cannot carry every type of label value', (t) => {
  const family = {
    name: 'level',
    help: 'L.',
    type: 'gauge',
    values: [{ labels: { id: 12n as never, no: true as never }, value: NaN }],
  }
  const [sample] = JSON.parse(JSON.stringify(toPortable(family, { shard: 3n as never }))).values
  t.strictSame(sample, { labels: { shard: '3', id: '12', no: 'true' }, value: 'NaN' })
  t.end()
})
