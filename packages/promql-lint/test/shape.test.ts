import t from 'tap'
import { keep, matches, narrow, replaceLabel, union, vector, withLabel } from '../src/shape.ts'

const ab = vector('gauge', [['a', new Set(['1', '2'])]])

t.test('a regular expression is anchored', async (t) => {
  t.equal(matches('500', '=~', '5'), false)
  t.equal(matches('500', '=~', '5..'), true)
  t.equal(matches('500', '!~', '5'), true)
  t.equal(matches('500', '!=', '500'), false)
})

t.test('a matcher narrows known values, and = names an unknown one', async (t) => {
  t.same(narrow(new Set(['1', '2']), { label: 'a', operator: '!=', value: '1' }), new Set(['2']))
  t.same(narrow(undefined, { label: 'a', operator: '=', value: '1' }), new Set(['1']))
  t.equal(narrow(undefined, { label: 'a', operator: '=~', value: '1' }), undefined)
})

t.test('a union has the labels of both, and is certain of those that both have', async (t) => {
  const both = union(ab, vector('counter', [['b', undefined]]))
  t.equal(both.kind, 'counter')
  t.same([...both.labels.keys()], ['a', 'b'])
  t.same(both.labels.get('a'), new Set(['1', '2', '']))
  t.equal(both.certain.size, 0)
})

t.test('label_replace writes the values that its source gives', async (t) => {
  const replaced = replaceLabel(ab, ['b', 'x$1', 'a', '(.*)'])
  t.same(replaced.labels.get('b'), new Set(['x1', 'x2']))
  t.ok(replaced.certain.has('b'))
  t.notOk(replaceLabel(ab, ['a', '', 'a', '.*']).labels.has('a'), 'an empty value removes the label')
  t.same(replaceLabel(ab, ['a', 'x', 'a', '1']).labels.get('a'), new Set(['x', '2']), 'others stay as they are')
})

t.test('labels are added and dropped without touching the shape before', async (t) => {
  t.same([...withLabel(ab, 'b', undefined).labels.keys()], ['a', 'b'])
  t.same([...keep(ab, () => false).labels.keys()], [])
  t.same([...ab.labels.keys()], ['a'])
})
