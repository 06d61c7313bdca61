import { startPostgres } from '@data20/dev-services'
import t from 'tap'
import { build } from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())
const env = { DATABASE_URL: postgres.url }

t.test('GET / says what this is and where to go', async (t) => {
  const app = await build(t, env)
  const answer = (await app.inject('/')).json()
  t.match(answer, { name: 'data20-backend', version: /^\d+\.\d+\.\d+$/, status: 'running' })
  for (const link of Object.values<string>(answer.links)) {
    if (link !== '/api/run') t.equal((await app.inject(link)).statusCode, 200, link)
  }
})
