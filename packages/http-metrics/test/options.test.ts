import Fastify from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'

t.test('wrong options fail at registration and say what was expected', async (t) => {
  const label = { values: ['a'], value: () => 'a' }
  for (const options of [
    { buckets: [1, 0.5] },
    { buckets: '1' },
    { buckets: new Array(2) },
    { ignore: [1] },
    { ignore: '/health' },
    { labels: { x: {} } },
    { labels: { method: label } },
    { labels: { endpoint: label } },
    { endpointLabel: '1' },
    { endpointLabel: 'status' },
    { endpointLabel: 'phase' },
    { initialize: 'all' },
    { initialize: [2] },
  ]) {
    const app = Fastify()
    await t.rejects(async () => app.register(httpMetrics, options as object), {
      code: /^METRICS_ERR_/,
      message: /Expected/,
    })
  }
})

t.test('a second registration with options is an error', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  await t.rejects(async () => app.register(httpMetrics, { groupStatus: true }), {
    code: 'METRICS_ERR_ALREADY_REGISTERED',
  })
})
