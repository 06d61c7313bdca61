import Fastify from 'fastify'
import t from 'tap'
import { type MetricsCoreOptions, metricsCore } from '../src/index.ts'

t.test('wrong options fail at registration and say what was expected', async (t) => {
  const wrong: Array<[object, RegExp]> = [
    [{ path: 'metrics' }, /^Expected option `path` to be a path that begins with \/, got metrics$/],
    [{ maxSeries: -1 }, /`maxSeries` to be a number ≥ 0, got -1/],
    [{ maxSeries: NaN }, /`maxSeries`/],
    [{ collectorTimeoutMs: 0 }, /`collectorTimeoutMs` to be a number > 0, at most 2147483647, got 0/],
    [{ collectorTimeoutMs: Infinity }, /`collectorTimeoutMs`/],
    [{ maxConcurrentScrapes: 0 }, /`maxConcurrentScrapes` to be a number ≥ 1, got 0/],
    [{ auth: {} }, /`auth` to be \{ bearer \} or \{ username, password \}/],
    [{ auth: { bearer: undefined } }, /`auth`/],
    [{ auth: { bearer: '' } }, /`auth`/],
    [{ auth: { bearer: 'secret\n' } }, /^Expected option `auth.bearer` to be printable ASCII .* got another text$/],
    [{ auth: { username: 'a', password: undefined } }, /`auth`/],
    [{ auth: { username: 'a:b', password: 'c' } }, /`auth`/],
    [{ auth: null }, /`auth`/],
    [{ labels: { 'not-a-label': 'x' } }, /Expected a label name that Prometheus accepts, got not-a-label/],
  ]
  for (const [options, message] of wrong) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(
      async () => app.register(metricsCore, options as MetricsCoreOptions),
      { message },
      JSON.stringify(options),
    )
  }
  const app = Fastify()
  t.teardown(() => app.close())
  const unset = { path: undefined, maxSeries: undefined, auth: undefined, labels: undefined, listen: undefined }
  await app.register(metricsCore, unset as unknown as MetricsCoreOptions)
  t.equal((await app.inject('/metrics')).statusCode, 200, 'an undefined option has its default')
})
