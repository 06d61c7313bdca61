import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cacheDirectory, readSamples, readValue, temporaryFolder, until } from '../src/index.ts'
import { EXPOSITION, setEnvironment } from './helpers.ts'

t.test('the cache folder can be chosen', async (t) => {
  setEnvironment(t, { DATA20_CACHE: '/somewhere', XDG_CACHE_HOME: '/home/cache' })
  t.equal(cacheDirectory(), '/somewhere')
  setEnvironment(t, { DATA20_CACHE: undefined })
  t.equal(cacheDirectory(), '/home/cache/data20')
  setEnvironment(t, { XDG_CACHE_HOME: undefined })
  t.match(cacheDirectory(), /node_modules\/\.cache\/data20$/)
})

t.test('an exposition is read line by line', async (t) => {
  const exposition = `${EXPOSITION}size{le="+Inf",of="a b"} 2 # {trace_id="1"} 0.5 1.7\nbare -Inf\nmeasured NaN 1700000000\n`

  t.strictSame(readSamples(exposition), [
    { name: 'http_requests_total', labels: { status: '200' }, value: 3 },
    { name: 'size', labels: { le: '+Inf', of: 'a b' }, value: 2 },
    { name: 'bare', labels: {}, value: -Infinity },
    { name: 'measured', labels: {}, value: Number.NaN },
  ])
  t.equal(readValue(exposition, 'http_requests_total{status="200"}'), 3)
  t.equal(readValue(exposition, 'size{le="+Inf",of="a b"}'), 2)
  t.equal(readValue(exposition, 'bare'), -Infinity)
  t.equal(readValue(exposition, 'http_requests_total'), undefined, 'a series is a name with all of its labels')
})

t.test('until resolves to what comes, and says what does not', async (t) => {
  let looks = 0
  t.equal(await until('a third look', () => ++looks === 3 && 'here'), 'here')
  t.equal(await until('a zero', async () => 0), 0)
  await t.rejects(
    until('the impossible', () => undefined, 50),
    { message: 'Expected the impossible within 50 ms' },
  )
  const fail = () => {
    looks += 1
    if (looks < 6) throw new Error('not yet')
    return 'there'
  }
  t.equal(await until('what fails at first', fail), 'there')
  looks = Number.NEGATIVE_INFINITY
  await t.rejects(until('what always fails', fail, 50), { cause: { message: 'not yet' } })
})

t.test('a temporary folder is deleted with its test', async (t) => {
  let folder = ''
  let isThere = false
  await t.test('which uses it', async (t) => {
    folder = temporaryFolder(t, 'dev-services')
    t.teardown(() => {
      isThere = existsSync(folder)
    })
    writeFileSync(join(folder, 'file'), '')
  })
  t.ok(isThere, 'what is torn down later on, a server, still has it')
  t.notOk(existsSync(folder))
})
