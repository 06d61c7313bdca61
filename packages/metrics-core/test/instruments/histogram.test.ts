import { Histogram } from 'prom-client'
import t from 'tap'
import { DEFAULT_BUCKETS } from '../../src/index.ts'
import { build, samples } from '../helpers.ts'

t.test(
  'a histogram accepts every call form of prom-client and counts each observation in all buckets that hold it',
  async (t) => {
    const { metrics } = await build(t)
    const histogram = metrics.histogram({ name: 'size_bytes', help: 'Size.', labelNames: ['a'], buckets: [1, 2.5] })
    histogram.observe({ a: 'x' }, 1)
    histogram.observe({ labels: { a: 'x' }, value: 1.5 })
    histogram.labels('x').observe(2.5)
    histogram.labels({ a: 'x' }).observe(3)
    histogram.setToZero({ a: 'y' })
    const expected = (a: string, counts: number[], sum: number) => [
      `size_bytes_bucket{a="${a}",le="1.0"} ${counts[0]}`,
      `size_bytes_bucket{a="${a}",le="2.5"} ${counts[1]}`,
      `size_bytes_bucket{a="${a}",le="+Inf"} ${counts[2]}`,
      `size_bytes_sum{a="${a}"} ${sum}`,
      `size_bytes_count{a="${a}"} ${counts[2]}`,
    ]
    t.same(await samples(metrics, 'size_'), [...expected('x', [1, 3, 4], 8), ...expected('y', [0, 0, 0], 0)])
    t.equal(histogram.labels('x').count, 4)

    const plain = metrics.histogram({ name: 'plain', help: 'Plain.' })
    plain.observe(0.3)
    plain.observe({ value: 20 })
    t.same(plain.buckets, DEFAULT_BUCKETS)
    t.same((await samples(metrics, 'plain')).slice(-4), [
      'plain_bucket{le="10.0"} 1',
      'plain_bucket{le="+Inf"} 2',
      'plain_sum 20.3',
      'plain_count 2',
    ])
  },
)

t.test('the label le comes last, and bucket boundaries are formatted as Go formats them', async (t) => {
  const { metrics } = await build(t)
  const buckets = [1e-7, 0.00001, 0.0001, 0.5, 1, 100000, 1e6, 1048576, 1e21]
  const histogram = metrics.histogram({ name: 'h', help: 'H.', labelNames: ['z', 'a', 'le2'], buckets })
  histogram.observe({ a: 'quote " le="1.0"', le2: '\\', z: '{}' }, 1)
  const lines = await samples(metrics, 'h_bucket')
  const bounds = ['1e-07', '1e-05', '0.0001', '0.5', '1.0', '100000.0', '1e+06', '1.048576e+06', '1e+21', '+Inf']
  t.same(
    lines,
    bounds.map(
      (le, index) =>
        `h_bucket{a="quote \\" le=\\"1.0\\"",le2="\\\\",z="{}",le="${le}"} ${index >= bounds.indexOf('1.0') ? 1 : 0}`,
    ),
  )
})

t.test('a histogram timer observes seconds, takes labels at its end, and returns what it observed', async (t) => {
  const { metrics } = await build(t)
  const histogram = metrics.histogram({ name: 'h_seconds', help: 'H.', labelNames: ['a', 'b'] })
  const ends = [histogram.startTimer({ a: '1' }), histogram.labels('1', '2').startTimer()]
  const start = performance.now()
  while (performance.now() - start < 5);
  const [first, second] = [ends[0]!({ b: '2' }), ends[1]!()]
  const spent = (performance.now() - start) / 1000 + 0.001
  for (const seconds of [first, second]) t.ok(seconds >= 0.005 && seconds <= spent + 1, `${seconds}`)
  t.equal(histogram.labels('1', '2').count, 2)
  t.equal(histogram.labels('1', '2').sum, first + second)
})

t.test('a histogram throws on a value that is not finite, and counts nothing', async (t) => {
  const { metrics } = await build(t)
  const histogram = metrics.histogram({ name: 'h', help: 'H.' })
  const theirs = new Histogram({ name: 'h', help: 'H.', registers: [] })
  for (const value of ['5', NaN, Infinity] as never[]) {
    t.throws(() => theirs.observe(value))
    t.throws(() => histogram.observe(value), { code: 'METRICS_ERR_VALUE' })
  }
  t.same(histogram.labels().count, 0)
})

t.test('wrong buckets fail when the histogram is made', async (t) => {
  const { metrics } = await build(t)
  const make = (buckets: unknown) => () => metrics.histogram({ name: 'h', help: 'H.', buckets: buckets as number[] })
  for (const buckets of [[2, 1], [1, 1], [1, Infinity], [NaN], ['1', 'x'], new Array(2), '1', 5, null]) {
    t.throws(make(buckets), { code: 'METRICS_ERR_OPTION', message: /ascending finite numbers/ }, String(buckets))
  }
  t.equal(metrics.registry.getSingleMetric('h'), undefined)
  t.doesNotThrow(make([]))
})

t.test('in JSON a bucket without an exemplar says so where another bucket has one, as in the clients', async (t) => {
  const { metrics } = await build(t)
  const histogram = metrics.histogram({ name: 'h', help: 'Some.', labelNames: ['a'], buckets: [1] })
  histogram.observe({ labels: { a: 'traced' }, value: 0.5, exemplarLabels: { trace_id: 'x' } })
  histogram.observe({ a: 'not traced' }, 0.5)

  const { values } = (await metrics.registry.getSingleMetric('h')!.get()) as {
    values: Array<{ labels: object; exemplar?: unknown }>
  }

  const exemplarOf = (labels: object) =>
    values.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))
  t.match(exemplarOf({ a: 'traced', le: '1.0' }), { exemplar: { labelSet: { trace_id: 'x' }, value: 0.5 } })
  t.equal(exemplarOf({ a: 'traced', le: '+Inf' })?.exemplar, null)
  t.equal(exemplarOf({ a: 'not traced', le: '1.0' })?.exemplar, undefined)
})
