import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { readValue, until } from '@data20/dev-services'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type Gauge, metricsCore } from '../../src/index.ts'
import { CLIENTS } from '../clients.ts'
import { build, createGate, type Gate, scrape } from '../helpers.ts'

const DEADLINE_MS = 80
const FAILING = ['throws', 'rejects', 'hangs', 'late']

interface Fixture {
  app: FastifyInstance
  logs: Array<{ level: number; msg: string; collector?: string }>
  /** Signals of all runs, in their order. */
  signals: AbortSignal[]
  /** What the collectors do next: they set `value`, or fail in the way that their name says. */
  next: { mode: 'good' | 'bad'; value: number; gate: Gate }
}

/** Builds an application with one collector for each way to fail, and one that never fails; each sets its gauge. */
async function buildFailing(t: Test): Promise<Fixture> {
  const logs: Fixture['logs'] = []
  const app = Fastify({
    logger: { level: 'info', stream: { write: (line: string) => void logs.push(JSON.parse(line)) } },
  })
  t.teardown(() => app.close())
  await app.register(metricsCore, { defaultMetrics: false, collectorTimeoutMs: DEADLINE_MS })
  const next: Fixture['next'] = { mode: 'good', value: 1, gate: createGate() }
  const signals: AbortSignal[] = []
  const add = (name: string, bad: (set: () => void) => void | Promise<void>) => {
    const gauge = app.metrics.gauge({ name, help: 'G.' })
    const set = () => gauge.set(next.value)
    app.metrics.collector(name, (signal) => {
      signals.push(signal)
      return next.mode === 'good' ? set() : bad(set)
    })
  }
  add('throws', () => {
    throw new Error('broken')
  })
  add('rejects', async () => {
    await turn()
    throw new Error('broken')
  })
  add('hangs', () => new Promise(() => {}))
  add('late', (set) => next.gate.opened.then(set))
  add('fine', (set) => set())
  return { app, logs, signals, next }
}

/** Returns the value of a collector's gauge, and whether the collector succeeded. */
function stateOf(text: string, collector: string): Array<number | undefined> {
  return [readValue(text, collector), readValue(text, `metrics_collector_success{collector="${collector}"}`)]
}

function lastSuccessOf(text: string, collector: string): number | undefined {
  return readValue(text, `metrics_collector_last_success_timestamp_seconds{collector="${collector}"}`)
}

t.test(
  'collectors that throw, hang or are late leave the scrape complete and keep their last good values',
  async (t) => {
    const { app, signals, next } = await buildFailing(t)
    app.metrics.collector('fine', () => {})
    const good = await scrape(app)
    for (const name of [...FAILING, 'fine']) t.same(stateOf(good, name), [1, 1], name)
    t.equal(readValue(good, 'metrics_collector_success{collector="fine_2"}'), 1, 'a name that is taken gets a number')

    next.mode = 'bad'
    next.value = 2
    const start = performance.now()
    // It would never end if it waited for the collectors that hang.
    const bad = await scrape(app)
    const elapsedSeconds = (performance.now() - start) / 1000
    for (const name of FAILING) {
      t.same(stateOf(bad, name), [1, 0], name)
      t.equal(lastSuccessOf(bad, name), lastSuccessOf(good, name), `the age of ${name} is that of its last success`)
    }
    t.same(stateOf(bad, 'fine'), [2, 1])
    for (const name of ['hangs', 'late']) {
      const seconds = readValue(bad, `metrics_collector_duration_seconds{collector="${name}"}`)!
      t.ok(seconds >= DEADLINE_MS / 1000 - 0.001 && seconds <= elapsedSeconds, `${name} took ${seconds} s`)
    }
    t.ok(
      signals.slice(5).every((signal) => signal.aborted),
      'all were told to stop',
    )
    t.match(bad, /^metrics_scrapes_total\{status="200"\} 1$/m)
  },
)

t.test(
  'a value that comes after the deadline is exposed by the next scrape, and a collector can recover',
  async (t) => {
    const { app, next } = await buildFailing(t)
    await scrape(app)
    next.mode = 'bad'
    next.value = 2
    const { gate } = next
    t.same(stateOf(await scrape(app), 'late'), [1, 0])
    gate.open()
    await gate.opened
    // The next run is late again.
    next.gate = createGate()
    t.equal((await scrape(app)).match(/^late (\d)$/m)?.[1], '2')
    next.mode = 'good'
    t.same(stateOf(await scrape(app), 'throws'), [2, 1])
  },
)

t.test('a collector that fails again and again is logged once, and scrapes are not logged', async (t) => {
  const { app, logs, next } = await buildFailing(t)
  await scrape(app)
  next.mode = 'bad'
  await scrape(app)
  await scrape(app)
  const failures = logs
    .filter(({ level }) => level >= 40)
    .map(({ collector }) => collector)
    .sort()
  t.same(failures, ['hangs', 'late', 'rejects', 'throws'])
  t.same(
    logs.filter(({ msg }) => /request/.test(msg)),
    [],
  )
})

t.test('a scraper that announces a short timeout waits less, and takes nothing from others', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 50_000 })
  const length = app.metrics.gauge({ name: 'queue_length', help: 'Jobs.' })
  const budgets: number[] = []
  let aborted = 0
  let gate = createGate()
  app.metrics.collector('slow', async (signal, budgetMs) => {
    let hasEnded = false
    signal.addEventListener('abort', () => {
      if (!hasEnded) aborted += 1
    })
    budgets.push(budgetMs)
    await gate.opened
    length.set(budgets.length)
    hasEnded = true
  })

  for (const header of ['0.001', '1e-9', '0.1']) {
    gate = createGate()
    const run = budgets.length + 1
    const first = scrape(app, { 'x-prometheus-scrape-timeout-seconds': header })
    await until('the collector to run', () => budgets.length === run)
    const joined = scrape(app, { 'x-prometheus-scrape-timeout-seconds': '60' })
    await first
    gate.open()
    const text = await joined
    t.match(text, 'metrics_collector_success{collector="slow"} 1')
    t.match(text, `\nqueue_length ${budgets.length}\n`, 'it waited for the value of this collection')
  }
  for (const header of ['', '0', '-1', 'soon', 'NaN', 'Infinity', '60']) {
    await scrape(app, { 'x-prometheus-scrape-timeout-seconds': header })
  }
  t.same(
    budgets,
    budgets.map(() => 50_000),
  )
  t.equal(aborted, 0)
})

t.test('a scrape waits for the deadline of each collector, and shows who missed it', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 50 })
  let isHanging = false
  app.metrics.collector('hangs', () => (isHanging ? new Promise(() => {}) : undefined))
  // The observers take a part of the time, which is not the collectors'.
  app.metrics.collector('observer', () => sleep(20), { isObserver: true })
  t.match(await scrape(app), 'metrics_collector_success{collector="hangs"} 1')
  isHanging = true
  t.match(await scrape(app), 'metrics_collector_success{collector="hangs"} 0')
})

t.test("an instrument's own collect sets its values at each scrape, under its name", async (t) => {
  const app = await build(t)
  let runs = 0
  const options = {
    name: 'own',
    help: 'O.',
    labelNames: ['a'] as const,
    collect(this: Gauge<'a'>) {
      runs += 1
      this.set({ a: 'x' }, runs)
    },
  }
  const gauge = app.metrics.gauge(options)
  t.equal(app.metrics.gauge(options), gauge, 'made once')
  t.match(await scrape(app), /^own\{a="x"\} 1$/m)
  const text = await scrape(app)
  t.match(text, /^own\{a="x"\} 2$/m)
  t.match(text, 'metrics_collector_success{collector="own"} 1')
})

t.test('a collector that is removed, even while it runs, does not run again and leaves no series', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 60_000 })
  let runs = 0
  const gate = createGate()
  const remove = app.metrics.collector('gone', () => {
    runs += 1
    return gate.opened
  })
  const scraping = scrape(app)
  await until('the collector to run', () => runs === 1)
  remove()
  remove()
  gate.open()
  t.notMatch(await scraping, 'collector="gone"')
  t.notMatch(await scrape(app), 'collector="gone"')
  t.equal(runs, 1)
})

t.test('concurrent scrapes share one collection', async (t) => {
  let arrived = 0
  const preHandler = async () => {
    arrived += 1
  }
  const app = await build(t, { collectorTimeoutMs: 60_000, preHandler })
  const gate = createGate()
  const collections = { quick: 0, slow: 0 }
  app.metrics.collector('quick', () => {
    collections.quick += 1
  })
  app.metrics.collector('slow', async () => {
    collections.slow += 1
    await gate.opened
  })
  const scraping = Promise.all(Array.from({ length: 20 }, () => scrape(app)))
  await until('all scrapes to arrive', () => arrived === 20)
  // The handler of the last one follows its preHandler.
  await turn()
  gate.open()
  t.ok((await scraping).every((text) => text.includes('metrics_collector_success{collector="slow"} 1')))
  t.same(collections, { quick: 1, slow: 1 })
})

t.test('a scrape that shares a collection waits no longer than its own deadline', async (t) => {
  const app = await build(t, { collectorTimeoutMs: 60_000 })
  const gate = createGate()
  app.metrics.collector('hangs', () => gate.opened)
  const order: string[] = []
  const patient = scrape(app).then(() => order.push('patient'))
  await turn()
  await scrape(app, { 'x-prometheus-scrape-timeout-seconds': '0.05' }).then(() => order.push('hasty'))
  gate.open()
  await patient
  t.same(order, ['hasty', 'patient'])
})

t.test('what looks at the process runs before all else, and sees nothing of the collection', async (t) => {
  const registry = new CLIENTS['prom-client']!.Registry()
  const app = await build(t, { registry })
  const order: string[] = []
  const collect = () => void order.push('client')
  new CLIENTS['prom-client']!.Gauge({ name: 'their_gauge', help: 'H.', registers: [registry], collect })
  app.metrics.collector('other', () => void order.push('other'))
  app.metrics.collector(
    'observer',
    async () => {
      await turn()
      order.push('observer')
    },
    { isObserver: true },
  )
  await scrape(app)
  t.equal(order[0], 'observer')
  t.same(order.slice(1).sort(), ['client', 'other'])
})

t.test('the time of the last success is absent before the first', async (t) => {
  const app = await build(t)
  let isBroken = true
  app.metrics.collector('late', () => {
    if (isBroken) throw new Error('not yet')
  })
  const LAST = /metrics_collector_last_success_timestamp_seconds\{collector="late"\} \d/
  t.notMatch(await scrape(app), LAST)
  isBroken = false
  t.match(await scrape(app), LAST)
})

for (const [name, client] of Object.entries(CLIENTS)) {
  t.test(`${name}: metrics of the client that throw, hang or return nonsense do not break a scrape`, async (t) => {
    const registry = new client.Registry()
    const app = await build(t, { registry, collectorTimeoutMs: 50 })
    let mode = 'fine'
    const options = (name: string, collect: () => unknown) => ({
      name,
      help: 'Theirs.',
      registers: [registry],
      collect: collect as never,
    })
    const throws = new client.Gauge(
      options('their_throw', () => {
        if (mode !== 'fine') throw new Error('broken')
      }),
    )
    const hangs = new client.Gauge(options('their_hang', () => (mode === 'fine' ? undefined : new Promise(() => {}))))
    throws.set(1)
    hangs.set(2)
    const add = (name: string, get: () => unknown) =>
      registry.registerMetric({ name, help: 'H.', type: 'gauge', get, reset() {} } as never)
    add('throws_synchronously', () => {
      throw new Error('at once')
    })
    add('no_values', () => undefined)
    add('odd_values', () => ({
      name: 'odd_values',
      help: 5,
      type: 'gauge',
      values: [{ value: undefined }, { value: '4', labels: { a: null } }],
    }))
    t.match(await scrape(app), /^their_throw 1$[\s\S]*^their_hang 2$/m)
    mode = 'broken'
    const text = await scrape(app)
    t.match(text, /^their_throw 1$[\s\S]*^their_hang 2$/m, 'their last good values are exposed')
    t.match(text, /^odd_values NaN\nodd_values\{a=""\} 4$/m)
    for (const collector of ['their_throw', 'their_hang', 'throws_synchronously', 'no_values']) {
      t.match(await scrape(app), `metrics_collector_success{collector="${collector}"} 0`)
    }
    registry.removeSingleMetric('their_throw')
    t.notMatch(await scrape(app), 'their_throw', 'a removed metric no longer fails')
    registry.registerMetric(throws)
    t.match(await scrape(app), 'metrics_collector_success{collector="their_throw"} 0')
  })
}
