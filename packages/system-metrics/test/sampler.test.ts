import { statfs } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createSampler, settlesWithin } from '../src/sampler.ts'
import { until } from './helpers.ts'

t.test('a reading that hangs is not started again, goes stale, and holds up no other', async (t) => {
  let answer = () => {}
  const hanging = new Promise<void>((resolve) => {
    answer = resolve
  })
  const starts = { hanging: 0, other: 0 }
  const sampler = createSampler(
    {
      hanging() {
        starts.hanging += 1
        return hanging
      },
      other() {
        starts.other += 1
      },
    },
    100,
  )
  t.teardown(() => sampler.stop())

  t.doesNotThrow(() => sampler.check())
  await until('five samples of the other', () => starts.other >= 5)

  t.equal(starts.hanging, 1)
  t.throws(() => sampler.check(), /Expected a sample of hanging every 100 ms, got the last one \d+ ms ago/)

  answer()
  await sampler.sample()
  t.doesNotThrow(() => sampler.check())
})

t.test('a reading that throws at once is read again', async (t) => {
  let reads = 0
  const sampler = createSampler(
    {
      load() {
        reads += 1
        if (reads === 1) throw new Error('not now')
      },
    },
    60_000,
  )
  t.teardown(() => sampler.stop())

  await sampler.sample()
  t.throws(() => sampler.check(), { message: 'The last sample of load failed', cause: { message: 'not now' } })
  await sampler.sample()
  t.doesNotThrow(() => sampler.check())
  t.equal(reads, 2)
})

t.test('an answer in time is true, none is false, and a rejection passes through', async (t) => {
  t.equal(await settlesWithin(sleep(20), 10_000), true)
  t.equal(await settlesWithin(new Promise(() => {}), 120), false)
  await t.rejects(settlesWithin(Promise.reject(new Error('no')), 10_000), { message: 'no' })
})

t.test('an answer that waited behind blocking code is in time', async (t) => {
  const answer = settlesWithin(statfs('/'), 1)
  const startMs = performance.now()
  while (performance.now() - startMs < 200);
  t.equal(await answer, true)
})
