import Fastify from 'fastify'
import t from 'tap'
import { checkBuckets, checkList, checkTimeout, ensureMetrics, patch } from '../src/plugin.ts'
import { build } from './helpers.ts'

t.test('ensureMetrics() returns the registered metrics, or registers metrics-core with its defaults', async (t) => {
  const app = await build(t)
  t.equal(await ensureMetrics(app), app.metrics)
  const bare = Fastify()
  t.teardown(() => bare.close())
  t.equal(await ensureMetrics(bare), bare.metrics)
  t.equal((await bare.inject('/metrics')).statusCode, 200)
})

t.test('patch() replaces a method of one object, and its undo restores what was there', (t) => {
  class Greeter {
    greet(name: string): string {
      return `hello ${name}`
    }
  }
  const [patched, other] = [new Greeter(), new Greeter()]
  const calls: unknown[][] = []
  const undo = patch(
    patched,
    'greet',
    (original) =>
      function greet(this: unknown, ...args) {
        calls.push(args)
        return original.apply(this, args)
      },
  )
  t.equal(patched.greet('you'), 'hello you')
  t.equal(other.greet('them'), 'hello them')
  t.same(calls, [['you']])
  t.same(Object.keys(patched), [], 'the replacement is not enumerable')
  undo()
  t.notOk(Object.hasOwn(patched, 'greet'))
  t.equal(patched.greet('me'), 'hello me')
  t.equal(calls.length, 1)
  t.end()
})

t.test('undoing a patch leaves a replacement alone that was made after it', (t) => {
  const target = { read: () => 1 }
  const undo = patch(target, 'read', () => () => 2)
  const later = () => 3
  target.read = later
  undo()
  t.equal(target.read, later)
  t.end()
})

t.test('the checks of options throw on what cannot work, and name the option', (t) => {
  const code = 'METRICS_ERR_OPTION'
  for (const buckets of [[2, 1], [1, 1], [Infinity], new Array(2), '1'] as number[][]) {
    t.throws(() => checkBuckets(buckets, 'edges'), { code, message: /`edges`/ }, String(buckets))
  }
  t.doesNotThrow(() => checkBuckets([-1, 0, 0.5]))
  for (const list of ['ab', {}, undefined, null]) t.throws(() => checkList(list, 'names'), { code, message: /`names`/ })
  t.doesNotThrow(() => checkList([], 'names'))
  for (const milliseconds of [0, -1, NaN, Infinity, 2 ** 31]) {
    t.throws(() => checkTimeout(milliseconds, 'waitMs'), { code, message: /`waitMs`/ }, `${milliseconds}`)
  }
  t.doesNotThrow(() => checkTimeout(2 ** 31 - 1, 'waitMs'))
  t.doesNotThrow(() => checkTimeout(0, 'waitMs', true))
  t.end()
})
