import t from 'tap'
import { evaluate } from '../src/evaluate.ts'
import { lookup, testMessages, testRight, testWrong } from './helpers.ts'

testWrong(t, [
  ['syntax', 'sum by (endpoint rate(http_requests_total[5m]))'],
  ['syntax', 'rate(http_requests_total[5m]) /'],
  ['syntax', 'system_cpu_percent\nsystem_memory_percent'],
])

testRight(t, [['sum(rate(http_requests_total{status=~"5.."}[5m])) by (endpoint) # a comment'], ['app_info']])

testMessages(t, {
  'up up': 'syntax error at `up`',
  'up /': 'the expression ends too early',
  '': 'the expression ends too early',
})

t.test('numbers, durations and strings are constants', async (t) => {
  t.match(evaluate('-5m', lookup).shape, { kind: 'scalar', constant: -300 })
  t.match(evaluate('+(2 * 3)', lookup).shape, { kind: 'scalar', constant: 6 })
  t.match(evaluate('"a\\"b"', lookup).shape, { kind: 'string', text: 'a"b' })
})

t.test('an offset belongs to the operand before it', async (t) => {
  t.equal(evaluate('up offset 1d', lookup).shape.hasOffset, true)
  t.equal(evaluate('up - up offset 1d', lookup).shape.hasOffset, undefined)
})

t.test('an expression with a syntax error has no root and can have any label', async (t) => {
  const { root, shape } = evaluate('sum by (', lookup)
  t.equal(root, undefined)
  t.ok(shape.isOpen)
})
