import Fastify from 'fastify'
import t from 'tap'
import { toolMetrics } from '../src/index.ts'
import { build, readSeries } from './helpers.ts'

const executions = (status: string) => `tool_executions_total{status="${status}",tool_name="build_graph"}`
const COUNT = 'tool_execution_duration_seconds_count{tool_name="build_graph"}'
const ACTIVE = 'tool_executions_active{tool_name="build_graph"}'

t.test('a run that fulfills is completed, and its result is returned', async (t) => {
  const app = await build(t)
  const before = Date.now() / 1000
  t.strictSame(await app.toolMetrics.track('build_graph', async () => ({ nodes: 3 })), { nodes: 3 })
  t.equal(await app.toolMetrics.track('build_graph', () => 'not a promise'), 'not a promise')
  const { 'tool_last_success_timestamp_seconds{tool_name="build_graph"}': lastSuccess, ...series } =
    await readSeries(app)
  t.strictSame(series, { [executions('completed')]: 2, [COUNT]: 2 })
  t.ok(lastSuccess! >= before)
})

t.test('a run that throws, at once or later, is failed, and its error comes through unchanged', async (t) => {
  const app = await build(t)
  const error = new Error('on purpose')
  await t.rejects(
    app.toolMetrics.track('build_graph', () => Promise.reject(error)),
    error,
  )
  await t.rejects(
    app.toolMetrics.track('build_graph', () => {
      throw error
    }),
    error,
  )
  t.strictSame(await readSeries(app), { [executions('failed')]: 2, [COUNT]: 2 })
})

t.test('a run is active while it runs, and its duration is the time it took', async (t) => {
  const app = await build(t)
  let finish = () => {}
  const startMs = performance.now()
  const running = app.toolMetrics.track('build_graph', () => new Promise<void>((resolve) => (finish = resolve)))
  t.equal((await readSeries(app))[ACTIVE], 1)
  await new Promise((resolve) => setTimeout(resolve, 60))
  finish()
  await running
  const elapsedSeconds = (performance.now() - startMs) / 1000
  t.equal((await readSeries(app))[ACTIVE], undefined)
  const { body } = await app.inject('/metrics')
  const sum = Number(/^tool_execution_duration_seconds_sum\S* (.*)$/m.exec(body)?.[1])
  t.ok(sum >= 0.055 && sum <= elapsedSeconds, `${sum} s`)
})

t.test('the time limit aborts the signal, and the run is a timeout', async (t) => {
  const app = await build(t)
  const running = app.toolMetrics.track('build_graph', (signal) => rejectOnAbort(signal), { timeoutMs: 20 })
  await t.rejects(running, { name: 'TimeoutError', message: /build_graph took longer than 20 ms/ })
  t.strictSame(await readSeries(app), { [executions('timeout')]: 1, [COUNT]: 1 })
  const late = app.toolMetrics.track('build_graph', (signal) => rejectOnAbort(signal), { timeoutMs: 0 })
  await t.rejects(late, { name: 'TimeoutError' }, 'what remains of a deadline may be nothing')
  t.strictSame(await readSeries(app), { [executions('timeout')]: 2, [COUNT]: 2 })
})

t.test("the caller's signal cancels the run, before it starts or while it runs", async (t) => {
  const app = await build(t)
  const caller = new AbortController()
  const running = app.toolMetrics.track('build_graph', rejectOnAbort, { signal: caller.signal, timeoutMs: 60_000 })
  caller.abort(new Error('the client left'))
  await t.rejects(running, { message: 'the client left' })
  await t.rejects(app.toolMetrics.track('build_graph', rejectOnAbort, { signal: caller.signal }), {
    message: 'the client left',
  })
  t.strictSame(await readSeries(app), { [executions('cancelled')]: 2, [COUNT]: 2 })
})

t.test('a run that completes although it was told to stop is completed', async (t) => {
  const app = await build(t)
  const caller = new AbortController()
  const running = app.toolMetrics.track('build_graph', async () => 'done', { signal: caller.signal })
  caller.abort()
  t.equal(await running, 'done')
  t.equal((await readSeries(app))[executions('completed')], 1)
})

t.test(
  'isFailure makes an answer a failure; where it throws, the run is completed and the error counted',
  async (t) => {
    const app = await build(t, {
      tools: ['build_graph'],
      isFailure: (result) => {
        if (result === null) throw new Error('on purpose')
        return (result as { ok: boolean }).ok === false
      },
    })
    for (const result of [{ ok: true }, { ok: false }, null]) await app.toolMetrics.track('build_graph', () => result)
    const series = await readSeries(app)
    t.equal(series[executions('completed')], 2)
    t.equal(series[executions('failed')], 1)
    t.match((await app.inject('/metrics')).body, 'metrics_errors_total{plugin="tool-metrics"} 1')
  },
)

t.test('an execution ended by hand counts once, by the first call', async (t) => {
  const app = await build(t)
  const end = app.toolMetrics.start('build_graph')
  t.equal((await readSeries(app))[ACTIVE], 1)
  end('cancelled')
  end('completed')
  t.strictSame(await readSeries(app), { [executions('cancelled')]: 1, [COUNT]: 1 })
})

t.test('a status, a reason and a time limit that do not exist are refused before anything is counted', async (t) => {
  const app = await build(t)
  const end = app.toolMetrics.start('build_graph')
  t.throws(() => end('done' as never), {
    code: 'METRICS_ERR_OPTION',
    message: 'Expected option `status` to be one of completed, failed, timeout, cancelled, got done',
  })
  end('completed')
  t.equal((await readSeries(app))[executions('completed')], 1)
  t.throws(() => app.toolMetrics.reject('full' as never), { code: 'METRICS_ERR_OPTION', message: /`reason`/ })
  for (const options of [{ timeoutMs: -1 }, { timeoutMs: Number.NaN }, { timeoutMs: 3e9 }, { signal: {} as never }]) {
    await t.rejects(
      app.toolMetrics.track('build_graph', () => 1, options),
      { code: 'METRICS_ERR_OPTION' },
    )
  }
  t.equal((await readSeries(app))[COUNT], 1)
})

t.test('options that cannot work fail at register', async (t) => {
  for (const options of [{ tools: 'build_graph' }, { isFailure: true }, { buckets: [2, 1] }]) {
    await t.rejects(build(t, options as never), { code: 'METRICS_ERR_OPTION' }, JSON.stringify(options))
  }
})

t.test('a tool that is not registered throws and makes no series', async (t) => {
  const app = await build(t)
  const before = (await app.inject('/metrics')).body.split('\n').filter((line) => line.startsWith('tool_')).length
  for (let index = 0; index < 100; index += 1) {
    await t.rejects(
      app.toolMetrics.track(`hostile-${index}`, () => 1),
      { code: 'TOOL_METRICS_ERR_UNREGISTERED', statusCode: 404 },
    )
  }
  app.toolMetrics.reject('unknown_tool')
  t.equal((await app.inject('/metrics')).body.split('\n').filter((line) => line.startsWith('tool_')).length, before)
  t.strictSame(await readSeries(app), { 'tool_rejections_total{reason="unknown_tool"}': 1 })
})

t.test('tools can be observed later, and again without losing their counts', async (t) => {
  const app = await build(t, {})
  app.toolMetrics.observe('build_graph', 'search')
  await app.toolMetrics.track('build_graph', () => 1)
  app.toolMetrics.observe('build_graph')
  t.equal((await readSeries(app))[executions('completed')], 1)
  t.match((await app.inject('/metrics')).body, 'tool_executions_active{tool_name="search"} 0')
})

t.test('register is a deprecated alias of observe', async (t) => {
  const app = await build(t, {})
  app.toolMetrics.register('build_graph')
  t.match((await app.inject('/metrics')).body, 'tool_executions_active{tool_name="build_graph"} 0')
})

t.test('two applications share nothing', async (t) => {
  const [one, two] = [await build(t), await build(t)]
  await one.toolMetrics.track('build_graph', () => 1)
  t.strictSame(await readSeries(two), {})
})

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

t.test('an option that does not exist fails with the name that is meant', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => void (await app.register(toolMetrics, { bucket: [] } as object)), {
    code: 'METRICS_ERR_UNKNOWN_OPTION',
    message: /tool-metrics, got `bucket`; did you mean `buckets`/,
  })
})
