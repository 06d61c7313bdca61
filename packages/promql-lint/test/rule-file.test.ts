import t from 'tap'
import { parseRules } from '../src/rule-file.ts'

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
