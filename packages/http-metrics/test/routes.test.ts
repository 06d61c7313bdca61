import Fastify from 'fastify'
import t from 'tap'
import httpMetrics from '../src/index.ts'
import { REQUEST_LABELS } from './helpers.ts'
import { buildApp } from './traffic/app.ts'
import { settledExposition, sorted } from './traffic/exposition.ts'
import { Ledger } from './traffic/ledger.ts'

t.test('ignore excludes routes by pattern, by prefix and by regular expression', async (t) => {
  const app = await buildApp({ ignore: ['/fast/:id', '/late-child/*', /^\/(err|timeo)/g, 'unmatched'] })
  t.teardown(() => app.close())
  for (const url of ['/fast/1', '/late-child/items/1', '/error', '/timeout', '/nowhere', '/before/1'])
    await app.inject(url)
  const { requests } = new Ledger()
  requests.set('/before/:id GET 200', 1)
  t.strictSame((await settledExposition(app)).counts('http_requests_total', REQUEST_LABELS), requests)
})

t.test('a route can be excluded, renamed, and given buckets of its own', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics, { buckets: [1, 2] })
  app.get('/out', { config: { metrics: false } }, async () => 'ok')
  app.get('/v1/named', { config: { metrics: { endpoint: '/named', buckets: [5] } } }, async () => 'ok')
  app.get('/v2/named', { config: { metrics: { endpoint: '/named', buckets: [5] } } }, async () => 'ok')
  for (const url of ['/out', '/v1/named', '/v2/named']) await app.inject(url)
  const exposition = await settledExposition(app)
  t.strictSame([...exposition.counts('http_requests_total', ['endpoint'])], [['/named', 2]])
  t.strictSame(
    [...exposition.counts('http_request_duration_seconds_bucket', ['le'])],
    [
      ['5.0', 2],
      ['+Inf', 2],
    ],
  )
})

t.test('groupStatus writes the class of the status', async (t) => {
  const app = await buildApp({ groupStatus: true })
  t.teardown(() => app.close())
  await app.inject('/fast/1')
  await app.inject('/nowhere')
  t.strictSame(sorted((await settledExposition(app)).counts('http_requests_total', ['status'])), [
    ['2xx', 1],
    ['4xx', 1],
  ])
})

t.test('endpointLabel renames the label in every metric', async (t) => {
  const app = await buildApp({ endpointLabel: 'route', sizes: true })
  t.teardown(() => app.close())
  await app.inject('/fast/1')
  const { samples } = await settledExposition(app)
  const http = samples.filter(({ name, labels }) => name.startsWith('http_') && !('code' in labels))
  t.ok(http.length > 0)
  t.ok(http.every(({ labels }) => 'route' in labels && !('endpoint' in labels)))
})

t.test('custom labels have the values allowed; any other value and every error is `other`', async (t) => {
  const app = Fastify({ logger: false })
  t.teardown(() => app.close())
  await app.register(httpMetrics, {
    labels: {
      tenant: {
        values: ['a', 'b'],
        value: ({ headers }) => {
          if (headers['x-tenant'] === 'boom') throw new Error('on purpose')
          return headers['x-tenant'] as string | undefined
        },
      },
    },
  })
  app.get('/', async () => 'ok')
  for (const tenant of ['a', 'a', 'b', 'hostile', 'boom', undefined]) {
    await app.inject({ url: '/', headers: tenant === undefined ? {} : { 'x-tenant': tenant } })
  }
  const exposition = await settledExposition(app)
  const expected = [
    ['a', 2],
    ['b', 1],
    ['other', 3],
  ] as Array<[string, number]>
  t.strictSame(sorted(exposition.counts('http_requests_total', ['tenant'])), expected)
  t.strictSame(sorted(exposition.counts('http_request_duration_seconds_count', ['tenant'])), expected)
  t.equal(exposition.counts('metrics_errors_total', ['plugin']).get('http-metrics'), 1)
})

t.test('known routes start at 0, for the statuses asked for', async (t) => {
  const statuses = async (options: object) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(httpMetrics, options)
    app.get('/known', async () => 'ok')
    await app.ready()
    const { samples } = await settledExposition(app)
    const found = samples.filter(({ name, labels }) => name === 'http_requests_total' && labels.endpoint === '/known')
    t.ok(found.every(({ value }) => value === 0))
    return found.map(({ labels }) => labels.status)
  }
  t.strictSame(await statuses({}), ['200', '400', '500'])
  t.strictSame(await statuses({ initialize: false }), [])
  t.strictSame(await statuses({ initialize: [201] }), ['201'])
  t.strictSame(await statuses({ groupStatus: true }), ['1xx', '2xx', '3xx', '4xx', '5xx'])
})

t.test(
  'wrong options of a route fail at its registration, and do no harm if it was registered before the plugin',
  async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.get('/early', { config: { metrics: { buckets: [2, 1] } } }, async () => 'ok')
    app.get('/nameless', { config: { metrics: { endpoint: '' } } }, async () => 'ok')
    await app.register(httpMetrics, { initialize: false })
    for (const metrics of [{ buckets: [2, 1] }, { endpoint: '' }, { endpoint: 5 }]) {
      t.throws(() => app.get('/late', { config: { metrics } }, async () => 'ok'), {
        code: 'METRICS_ERR_OPTION',
        message: / of \/late/,
      })
    }
    t.equal((await app.inject('/early')).statusCode, 200)
    t.equal((await app.inject('/nameless')).statusCode, 200)
    const exposition = await settledExposition(app)
    t.strictSame(sorted(exposition.counts('http_requests_total', REQUEST_LABELS)), [
      ['/early GET 200', 1],
      ['/nameless GET 200', 1],
    ])
    t.equal(exposition.counts('metrics_errors_total', ['plugin']).get('http-metrics'), 2)
  },
)

t.test('a route with the endpoint of another and other buckets fails at its registration', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(httpMetrics)
  app.get('/v1', { config: { metrics: { endpoint: '/v', buckets: [1, 2] } } }, async () => 'ok')
  app.get('/same', { config: { metrics: { endpoint: '/v', buckets: [1, 2] } } }, async () => 'ok')
  app.post('/other-method', { config: { metrics: { endpoint: '/v', buckets: [10] } } }, async () => 'ok')
  t.throws(() => app.get('/v2', { config: { metrics: { endpoint: '/v', buckets: [10] } } }, async () => 'ok'), {
    code: 'METRICS_ERR_OPTION',
    message: /config\.metrics\.buckets of \/v2.*all routes of GET \/v: 1, 2.*got 10/,
  })
  t.throws(() => app.get('/default', { config: { metrics: { endpoint: '/v' } } }, async () => 'ok'), {
    code: 'METRICS_ERR_OPTION',
  })
})
