import { readValue } from '@data20/dev-services'
import Fastify from 'fastify'
import type { Registry } from 'prom-client'
import t from 'tap'
import { metricsCore } from '../../src/index.ts'
import { assertParses } from '../clients.ts'
import { build, lines, OPEN_METRICS, scrape } from '../helpers.ts'

const broken = Object.defineProperty({}, 'value', {
  get() {
    throw new Error('not readable')
  },
})
const one = { value: 1, labels: {} }
const withoutText = Object.create(null)

/** Families that Prometheus, or the rendering, would refuse: each would lose the whole exposition. */
const refused: Record<string, object> = {
  'no sample': { values: [null] },
  'a sample that is a number': { values: [5] },
  'a sample that throws': { values: [broken] },
  'a symbol as value': { values: [{ value: Symbol('v') }] },
  'a text as value': { values: [{ value: 'abc' }] },
  'an object as value': { values: [{ value: {} }] },
  'a label without text': { values: [{ value: 1, labels: { a: withoutText } }] },
  'a label name with a hyphen': { values: [{ value: 1, labels: { 'a-b': '1' } }] },
  'a reserved label name': { values: [{ value: 1, labels: { __name__: 'x' } }] },
  'a sample name with a space': { values: [{ value: 1, metricName: 'bad name' }] },
  'a help without text': { help: withoutText, values: [one] },
  'an unknown type': { type: 'weird', values: [one] },
  'no type': { type: undefined, values: [one] },
  'one label set twice': { values: [one, { value: 2, labels: {} }] },
}

/** Families that are odd, and can be served. */
const served: Record<string, { family: object; line: RegExp }> = {
  'labels without a prototype': {
    family: { values: [{ value: 1, labels: Object.assign(Object.create(null), { a: 'x' }) }] },
    line: /^NAME\{a="x"\} 1$/,
  },
  'a big integer': { family: { values: [{ value: 10n ** 20n }] }, line: /^NAME 100000000000000000000$/ },
  'a number as text': { family: { values: [{ value: '4' }] }, line: /^NAME 4$/ },
  'a symbol as help': { family: { help: Symbol('h'), values: [one] }, line: /^NAME 1$/ },
  'an exemplar without labels': { family: { values: [{ ...one, exemplar: { value: 1 } }] }, line: /^NAME 1$/ },
  'type info': { family: { type: 'info', values: [{ ...one, metricName: 'NAME_info' }] }, line: /^NAME_info 1$/ },
  'type stateset': {
    family: { type: 'stateset', values: [{ value: 1, labels: { a: 'on' } }] },
    line: /^NAME\{a="on"\} 1$/,
  },
  'type unknown': { family: { type: 'unknown', values: [one] }, line: /^NAME 1$/ },
  'type gaugehistogram': {
    family: { type: 'gaugehistogram', values: [{ value: 1, labels: { le: '+Inf' }, metricName: 'NAME_bucket' }] },
    line: /^NAME_bucket\{le="\+Inf"\} 1$/,
  },
}

t.test('a foreign metric that Prometheus would refuse is left out, counted and logged once', async (t) => {
  const logs: Array<{ msg: string; metric?: string }> = []
  const app = Fastify({
    logger: { level: 'error', stream: { write: (line: string) => void logs.push(JSON.parse(line)) } },
  })
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false })
  const names = Object.keys(refused).map((_, index) => `bad_${index}`)
  for (const [index, family] of Object.values(refused).entries()) add(app.metrics.registry, names[index]!, family)
  add(app.metrics.registry, 'bad name', { values: [one] })
  app.metrics.counter({ name: 'fine_total', help: 'F.' }).inc()

  for (let round = 1; round <= 2; round += 1) {
    for (const accept of ['text/plain', OPEN_METRICS]) {
      const text = await scrape(app, { accept })
      t.equal(readValue(text, 'fine_total'), 1)
      for (const [index, what] of Object.keys(refused).entries()) t.same(lines(text, names[index]!), [], what)
      t.notMatch(text, 'bad name')
      if (accept === OPEN_METRICS) await assertParses(t, text)
    }
  }
  const text = await scrape(app)
  t.equal(readValue(text, 'metrics_errors_total{plugin="metrics-core"}'), 5 * (names.length + 1))
  t.same(logs.map(({ metric }) => metric).sort(), [...names, 'bad name'].sort())
})

t.test('a foreign metric that is odd but can be read is served', async (t) => {
  const app = await build(t)
  const entries = Object.entries(served)
  for (const [index, [, { family }]] of entries.entries()) {
    const named = { values: [], ...family } as { values: Array<{ metricName?: string }> }
    const values = named.values.map(({ metricName, ...sample }) =>
      metricName === undefined ? sample : { ...sample, metricName: metricName.replace('NAME', `odd_${index}`) },
    )
    add(app.metrics.registry, `odd_${index}`, { ...family, values })
  }
  for (const accept of ['text/plain', OPEN_METRICS]) {
    const text = await scrape(app, { accept })
    for (const [index, [what, { line }]] of entries.entries()) {
      const pattern = new RegExp(line.source.replace('NAME', `odd_${index}`), 'm')
      t.match(text, pattern, `${what}, ${accept}`)
    }
    if (accept === OPEN_METRICS) await assertParses(t, text)
    else t.notMatch(text, /^# TYPE \S+ (?:info|stateset|unknown|gaugehistogram)$/m, 'text 0.0.4 knows none of them')
  }
})

t.test('a metric without a name of its own has that of its family, unless it is taken', async (t) => {
  const app = await build(t)
  const { registry } = app.metrics
  app.metrics.gauge({ name: 'ours', help: 'G.' }).set(7)
  for (const name of ['custom', 'ours', undefined]) {
    const get = async () => ({ name, help: 'H.', type: 'gauge', values: [one] })
    registry.registerMetric({ name: undefined, get, reset() {} } as never)
    const text = await scrape(app)
    t.same(lines(text, 'ours').at(-1), 'ours 7')
    t.notMatch(text, 'undefined 1')
    if (name === 'custom') t.match(text, /^custom 1$/m)
    registry.removeSingleMetric(undefined as never)
  }
})

/** Registers a metric of a class of its own. */
function add(registry: unknown, name: string, family: object): void {
  const get = async () => ({ name, help: 'H.', type: 'gauge', ...family })
  ;(registry as Registry).registerMetric({ name, get, reset() {} } as never)
}
