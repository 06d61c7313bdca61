import t from 'tap'
import { build } from '../helpers.ts'

t.test('with a bearer token only its holder can scrape', async (t) => {
  const app = await build(t, { auth: { bearer: 's3cret token' } })
  const status = async (authorization?: string) =>
    (await app.inject({ url: '/metrics', headers: authorization === undefined ? {} : { authorization } })).statusCode
  t.equal(await status('Bearer s3cret token'), 200)
  t.equal(await status('bearer  s3cret token '), 200)
  for (const wrong of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer s3cret',
    'Bearer s3cret tokem',
    's3cret token',
    'Basic s3cret token',
  ]) {
    t.equal(await status(wrong), 401, wrong ?? 'no header')
  }
  const refused = await app.inject('/metrics')
  t.match(refused.headers, {
    'www-authenticate': 'Bearer realm="metrics"',
    'content-type': 'application/json; charset=utf-8',
  })
  t.match(refused.json(), { statusCode: 401, error: 'Unauthorized' })
  t.match(
    (await app.inject({ url: '/metrics', headers: { authorization: 'Bearer s3cret token' } })).body,
    /^metrics_scrapes_total\{status="401"\} 9$/m,
  )
})

t.test('with basic credentials only their holder can scrape', async (t) => {
  const app = await build(t, { auth: { username: 'prömetheus', password: 'a:b ' } })
  const status = async (authorization: string) =>
    (await app.inject({ url: '/metrics', headers: { authorization } })).statusCode
  const encode = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  t.equal(await status(encode('prömetheus:a:b ')), 200)
  for (const wrong of ['prömetheus:a:b', 'prömetheus:', ':', 'other:a:b ', ''])
    t.equal(await status(encode(wrong)), 401, wrong)
  t.equal(await status(encode('prömetheus:a:b ').replace('Basic', 'Bearer')), 401)
  t.equal((await app.inject('/metrics')).headers['www-authenticate'], 'Basic realm="metrics"')
})
