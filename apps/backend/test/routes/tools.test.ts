import { startPostgres } from '@data20/dev-services'
import t from 'tap'
import { build, readValue } from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())
const env = { DATABASE_URL: postgres.url }

t.test('GET /api/tools lists every tool with the schema of its parameters', async (t) => {
  const app = await build(t, env)
  const answer = (await app.inject('/api/tools')).json()
  t.strictSame(
    answer.tools.map(({ name }: { name: string }) => name),
    ['build_graph', 'search', 'extract_keywords', 'find_duplicates', 'check_links', 'document_stats'],
  )
  t.strictSame(answer.tools[1].parameters.required, ['query'])
  t.equal(answer.tools[1].parameters.properties.limit.default, 10)
})

t.test('the answer of GET /api/tools is made once', async (t) => {
  const app = await build(t, env)
  const answers = [(await app.inject('/api/tools')).json(), (await app.inject('/api/tools')).json()]
  t.strictSame(answers[0], answers[1])
  t.equal(await readValue(app, 'cache_misses_total{cache_type="tool_registry"}'), 1)
  t.equal(await readValue(app, 'cache_hits_total{cache_type="tool_registry"}'), 1)
  t.equal(await readValue(app, 'cache_load_duration_seconds_count{cache_type="tool_registry"}'), 1)
})

t.test('GET / says what this is and where to go', async (t) => {
  const app = await build(t, env)
  const answer = (await app.inject('/')).json()
  t.match(answer, { name: 'data20-backend', version: /^\d+\.\d+\.\d+$/, status: 'running' })
  for (const link of Object.values<string>(answer.links)) {
    if (link !== '/api/run') t.equal((await app.inject(link)).statusCode, 200, link)
  }
})
