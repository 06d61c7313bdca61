import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { build, OPEN_METRICS, TEXT } from '../helpers.ts'

t.test('the response has the format that the Accept header prefers, with its exact content type', async (t) => {
  const app = await build(t)
  const cases: Array<[string | undefined, string]> = [
    // As Prometheus 2.42, 2.53 and 3.5 send it.
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      OPEN_METRICS,
    ],
    [
      'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      OPEN_METRICS,
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      OPEN_METRICS,
    ],
    // As Prometheus sends it when it prefers protobuf.
    [
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3',
      OPEN_METRICS,
    ],
    [undefined, TEXT],
    ['*/*', TEXT],
    ['text/html,application/xhtml+xml,*/*;q=0.8', TEXT],
    ['application/json', TEXT],
    ['text/plain;version=0.0.4', TEXT],
    ['text/plain', TEXT],
    ['text/*', TEXT],
    ['application/openmetrics-text', OPEN_METRICS],
    ['Application/OpenMetrics-Text; Version="1.0.0"', OPEN_METRICS],
    ['application/openmetrics-text;version=2.0.0', TEXT],
    ['application/openmetrics-text;q=0.3, text/plain;q=0.5', TEXT],
    ['text/plain;q=0.3, application/openmetrics-text;q=0.5', OPEN_METRICS],
    ['application/openmetrics-text;q=0', TEXT],
    ['application/openmetrics-text;q=nonsense, text/plain;q=0.1', TEXT],
    ['text/plain, application/openmetrics-text', TEXT],
    [', ;;, =', TEXT],
  ]
  for (const [accept, contentType] of cases) {
    const response = await app.inject({ url: '/metrics', headers: accept === undefined ? {} : { accept } })
    t.equal(response.headers['content-type'], contentType, accept ?? 'no header')
    t.equal(response.body.endsWith('# EOF\n'), contentType === OPEN_METRICS)
  }
})

t.test('responses above 1 kB are compressed by gzip when the scraper accepts it', async (t) => {
  const app = await build(t)
  const get = (encoding: string, url = '/metrics') => app.inject({ url, headers: { 'accept-encoding': encoding } })
  for (const encoding of ['gzip', 'deflate, gzip;q=0.5', '*', 'identity;q=0.5, *;q=0.1']) {
    const { headers, rawPayload } = await get(encoding)
    t.match(headers, { 'content-encoding': 'gzip', 'content-type': TEXT, vary: 'accept, accept-encoding' }, encoding)
    t.match(gunzipSync(rawPayload).toString(), 'app_info{')
  }
  for (const encoding of ['', 'identity', 'br', 'gzip;q=0', 'gzip;q=0, *']) {
    const { headers, body } = await get(encoding)
    t.notOk(headers['content-encoding'], encoding)
    t.match(body, 'app_info{')
  }
  t.notOk(
    (await get('gzip', '/metrics?name[]=app_info')).headers['content-encoding'],
    'smaller responses are not compressed',
  )
})
