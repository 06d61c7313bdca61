import { Gauge } from 'prom-client'
import t from 'tap'
import { build, samples } from '../helpers.ts'

t.test('a gauge accepts every call form of prom-client', async (t) => {
  const { metrics } = await build(t)
  const gauge = metrics.gauge({ name: 'level', help: 'Level.', labelNames: ['a'] })
  gauge.set({ a: '1' }, 5)
  gauge.inc({ a: '1' })
  gauge.inc({ a: '1' }, 4)
  gauge.dec({ a: '1' })
  gauge.dec({ a: '1' }, 2.5)
  gauge.labels('2').set(-0)
  gauge.labels('3').set(Infinity)
  gauge.labels('4').set(-Infinity)
  gauge.labels('5').set(NaN)
  gauge.labels('6').set(1e21)
  gauge.labels('7').dec()
  const plain = metrics.gauge({ name: 'plain', help: 'Plain.' })
  plain.set(3)
  plain.inc()
  plain.inc(2)
  plain.dec()
  plain.dec(2)
  t.same(await samples(metrics, 'level'), [
    'level{a="1"} 6.5',
    'level{a="2"} 0',
    'level{a="3"} +Inf',
    'level{a="4"} -Inf',
    'level{a="5"} NaN',
    'level{a="6"} 1e+21',
    'level{a="7"} -1',
  ])
  t.same(await samples(metrics, 'plain'), ['plain 3'])

  const before = Date.now() / 1000
  plain.setToCurrentTime()
  gauge.setToCurrentTime({ a: '1' })
  gauge.labels('2').setToCurrentTime()
  for (const line of [...(await samples(metrics, 'plain')), ...(await samples(metrics, 'level')).slice(0, 2)]) {
    const seconds = Number(line.split(' ')[1])
    t.ok(seconds >= before && seconds <= Date.now() / 1000, line)
  }
})

t.test('a gauge timer sets the seconds that it measured, and returns them', async (t) => {
  const { metrics } = await build(t)
  const gauge = metrics.gauge({ name: 'g_seconds', help: 'G.', labelNames: ['a'] })
  const end = gauge.startTimer({ a: '1' })
  const start = performance.now()
  while (performance.now() - start < 5);
  const seconds = end()
  const spent = (performance.now() - start) / 1000 + 0.001
  t.ok(seconds >= 0.005 && seconds <= spent + 1, `${seconds}`)
  t.equal(gauge.labels('1').value, seconds)
})

t.test('a gauge throws on a value that is not a number, and keeps its value', async (t) => {
  const { metrics } = await build(t)
  const gauge = metrics.gauge({ name: 'g', help: 'G.' })
  const theirs = new Gauge({ name: 'g', help: 'G.', registers: [] })
  for (const value of ['5', undefined, null, 5n] as never[]) {
    t.throws(() => theirs.set(value))
    t.throws(() => gauge.set(value), { code: 'METRICS_ERR_VALUE' })
  }
  for (const value of ['5', NaN, Infinity] as never[]) {
    t.throws(() => gauge.inc(value), { code: 'METRICS_ERR_VALUE' })
    t.throws(() => gauge.dec(value), { code: 'METRICS_ERR_VALUE' })
  }
  t.same(gauge.labels().value, 0)
})
