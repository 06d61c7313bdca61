import t from 'tap'
import { build, samples } from '../helpers.ts'

/** Label values that are easy to confuse: separators, escapes, lone surrogates, and what looks like an escape. */
const CONFUSING_VALUES = [
  ...['', 'a', 'a|b', 'a,b', 'a:b', 'a"b', 'a\\b', 'a\nb', 'a\\nb', '\\', '"', '\n', '\r', '\r\n', '\t', ' ', '{', '}'],
  ...['",b="', 'x",b="y', 'x|', '|y', '😀', '\ud83d', '\ude00', '\ude00\ud83d', '\ufffd', '\ufffdd83d', '\ufffdfffd'],
  ...['\ufffdfffdd83d', '\ufffd\ud83d', '\0', '\ufffd0000', '\ufffd\0', '\u2028', '\ufeff', 'é', 'e\u0301'],
  ...['__proto__', 'constructor', 'undefined', 'NaN'],
  ...['x'.repeat(10_000), `${'x'.repeat(10_000)}|`, '\\'.repeat(9_999)],
]

t.test('label values of any content identify their own series, and read back unchanged', async (t) => {
  const { metrics } = await build(t)
  const counter = metrics.counter({ name: 'c_total', help: 'C.', labelNames: ['a', 'b'], maxSeries: false })
  for (const a of CONFUSING_VALUES) for (const b of CONFUSING_VALUES) counter.inc({ a, b })
  t.equal(counter.series.size, CONFUSING_VALUES.length ** 2)
  t.ok([...counter.series.values()].every(({ value }) => value === 1))

  const read = (await counter.get()).values.map(({ labels }) => JSON.stringify([labels.a, labels.b]))
  t.same(new Set(read), new Set(CONFUSING_VALUES.flatMap((a) => CONFUSING_VALUES.map((b) => JSON.stringify([a, b])))))

  const lines = await samples(metrics, 'c_total')
  t.equal(new Set(lines).size, CONFUSING_VALUES.length ** 2, 'no two lines are equal')
  t.ok(lines.every((line) => /^c_total\{a="(?:[^"\\]|\\[\\n"])*",b="(?:[^"\\]|\\[\\n"])*"\} 1$/.test(line)))
})

t.test('values other than strings are converted to strings, and absent ones to the empty string', async (t) => {
  const { metrics } = await build(t)
  const gauge = metrics.gauge({ name: 'g', help: 'G.', labelNames: ['a'] })
  for (const a of [1, true, 10n, 1.5, null, undefined, { toString: () => 'object' } as never]) gauge.set({ a }, 1)
  gauge.set({}, 2)
  t.same(await samples(metrics, 'g{'), [
    'g{a="1"} 1',
    'g{a="true"} 1',
    'g{a="10"} 1',
    'g{a="1.5"} 1',
    'g{a=""} 2',
    'g{a="object"} 1',
  ])
})

t.test('labels can be named like properties that every object inherits', async (t) => {
  const { metrics } = await build(t, { labels: { valueOf: 'x' } })
  const names = ['constructor', 'toString', 'hasOwnProperty'] as const
  const counter = metrics.counter({ name: 'toString_total', help: 'C.', labelNames: names })
  counter.inc({ constructor: 'a' } as never)
  counter.inc({ toString: 'b' } as never)
  counter.inc({} as never)
  t.same(await samples(metrics, 'toString'), [
    'toString_total{constructor="a",hasOwnProperty="",toString="",valueOf="x"} 1',
    'toString_total{constructor="",hasOwnProperty="",toString="b",valueOf="x"} 1',
    'toString_total{constructor="",hasOwnProperty="",toString="",valueOf="x"} 1',
  ])
})

t.test("constant labels are on every series, and an instrument's own label of the same name wins", async (t) => {
  const { metrics } = await build(t, { labels: { env: 'a"b', region: 'eu' } })
  metrics.counter({ name: 'c_total', help: 'C.' }).inc()
  metrics.gauge({ name: 'g', help: 'G.', labelNames: ['aa', 'env', 'zz'] }).set({ aa: '1', env: 'mine', zz: '2' }, 1)
  metrics.histogram({ name: 'h', help: 'H.', buckets: [] }).observe(1)
  t.same(await samples(metrics, 'c_'), ['c_total{env="a\\"b",region="eu"} 1'])
  t.same(await samples(metrics, 'g{'), ['g{aa="1",env="mine",region="eu",zz="2"} 1'])
  t.same(await samples(metrics, 'h_'), [
    'h_bucket{env="a\\"b",region="eu",le="+Inf"} 1',
    'h_sum{env="a\\"b",region="eu"} 1',
    'h_count{env="a\\"b",region="eu"} 1',
  ])
})
