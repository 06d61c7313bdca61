import t from 'tap'
import { sourcesOfDashboard, substitute } from '../src/dashboard.ts'

t.test('the expressions of a dashboard are read with their lines', async (t) => {
  const expr = 'rate(up{job=~"$job"}[$__rate_interval])'
  const text = JSON.stringify({ panels: [{ targets: [{ expr }] }] }, null, 2)
  t.same(sourcesOfDashboard('a.json', text), [
    { file: 'a.json', line: 6, expression: 'rate(up{job=~".+"}[5m])', purpose: {} },
  ])
})

t.test("Grafana's variables get the values that are given, or samples", async (t) => {
  t.equal(substitute(`up{job=~"$job",instance=~"\${instance:regex}"}`, { job: 'a' }), 'up{job=~"a",instance=~".+"}')
  t.equal(substitute(`rate(a[$__range]) + rate(a[\${__rate_interval}])`, {}), 'rate(a[1h]) + rate(a[5m])')
})
