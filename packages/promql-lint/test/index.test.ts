import t from 'tap'
import { createLookup, formatFinding, lintSources, parseRules, sourceOfRule } from '../src/index.ts'

t.test('the example of the README finds the wrong value', async (t) => {
  const lookup = createLookup([
    { name: 'http_requests_total', type: 'counter', labels: ['status'], values: { status: ['2xx', '4xx', '5xx'] } },
  ])
  const text = `groups:
  - name: http
    rules:
      - alert: Failing
        expr: sum by (job) (rate(http_requests_total{status="500"}[5m])) > 1
`
  t.same(lintSources(parseRules('alerts.yml', text).map(sourceOfRule), lookup).map(formatFinding), [
    'alerts.yml:5: http_requests_total{status="500"} never matches; values of status: 2xx, 4xx, 5xx (value)\n' +
      '    sum by (job) (rate(http_requests_total{status="500"}[5m])) > 1',
  ])
})
