import t from 'tap'
import { sourcesOfDashboard, substitute } from '../src/dashboard.ts'
import { sourcesOfMarkdown } from '../src/markdown.ts'
import { parseRules } from '../src/rule-file.ts'
import { formatFinding, lintSources, sourceOfRule } from '../src/source.ts'
import { lookup } from './helpers.ts'

t.test('a finding says file, line, expression and why', async (t) => {
  const text = `groups:
  - name: example
    rules:
      - alert: Example
        expr: >-
          rate(http_requests_total[5m])
          /
          rate(http_request_total[5m]) > 1
`
  const [rule] = parseRules('example.yml', text)
  const markdown = 'Text\n```promql\n# First\nup\nsum by (job) (\n  nothing\n)\n```\n```sh\nup up\n```\n'
  const sources = [{ ...rule!, purpose: {} }, ...sourcesOfMarkdown('example.md', markdown)]
  t.same(lintSources(sources, lookup).map(formatFinding), [
    'example.yml:8: unknown metric http_request_total (metric)\n    rate(http_requests_total[5m]) / rate(http_request_total[5m]) > 1',
    'example.md:6: unknown metric nothing (metric)\n    sum by (job) ( nothing )',
  ])
})

t.test('the purpose of a rule is checked with its expression', async (t) => {
  const text = `groups:
  - name: example
    rules:
      - { record: job:requests, expr: http_requests_total }
      - { alert: Example, expr: up == 0, labels: { severity: critical }, annotations: { summary: "{{ $labels.severity }} {{ $labels.pool }}" } }
`
  const findings = lintSources(parseRules('example.yml', text).map(sourceOfRule), lookup)
  t.same(
    findings.map(({ line, rule }) => [line, rule]),
    [
      [4, 'counter'],
      [5, 'annotation'],
    ],
  )
})

function expressionsOf(markdown: string): Array<[number, string]> {
  return sourcesOfMarkdown('example.md', markdown).map(({ line, expression }) => [line, expression])
}

t.test('the promql blocks of a document are read, and no other block', async (t) => {
  const markdown = 'Text\n```promql\n# First\nup\nsum by (job) (\n  nothing\n)\n```\n```sh\nup up\n```\n'
  t.same(expressionsOf(markdown), [
    [4, 'up'],
    [5, 'sum by (job) (\n  nothing\n)'],
  ])
})

t.test('a comment, an empty line or the next operand ends an expression', async (t) => {
  t.same(
    expressionsOf('```promql\na\nb\n\nc\n# d\ne\n```').map(([, expression]) => expression),
    ['a', 'b', 'c', 'e'],
  )
})

t.test('an operator, a keyword or an open aggregation continues an expression', async (t) => {
  for (const expression of ['a\n/\nb', 'a\nand on (job) b', 'sum\n(a)', 'sum(a)\nby (job)']) {
    t.same(expressionsOf(`\`\`\`promql\n${expression}\n\`\`\``), [[2, expression]])
  }
})

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

const TEXT = `groups:
  - name: example
    rules:
      - record: a:b
        expr: sum(up) # a comment
        labels: { team: web }
      - alert: Example
        expr: >-
          rate(http_requests_total[5m])
          > 1
        annotations: { summary: Too many }
`

t.test('rules have their file, their line and what they are for', async (t) => {
  t.same(parseRules('example.yml', TEXT), [
    {
      file: 'example.yml',
      line: 5,
      expression: 'sum(up)',
      record: 'a:b',
      alert: undefined,
      labels: { team: 'web' },
      annotations: {},
    },
    {
      file: 'example.yml',
      line: 9,
      expression: 'rate(http_requests_total[5m])\n> 1',
      record: undefined,
      alert: 'Example',
      labels: {},
      annotations: { summary: 'Too many' },
    },
  ])
})

t.test('a file without groups has no rules', async (t) => {
  t.same(parseRules('empty.yml', 'groups: []'), [])
  t.same(parseRules('other.yml', 'a: 1'), [])
})

t.test('invalid YAML and a rule without an expression are errors that name the file', async (t) => {
  t.throws(() => parseRules('bad.yml', 'a: [1'), { message: /^bad\.yml: / })
  t.throws(() => parseRules('bad.yml', 'groups: [{ rules: [{ record: a }] }]'), {
    message: /^bad\.yml: Expected a rule with an expr/,
  })
})
