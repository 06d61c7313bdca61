import t from 'tap'
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
