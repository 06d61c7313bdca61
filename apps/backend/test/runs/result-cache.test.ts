import { rmSync } from 'node:fs'
import { startPostgres } from '@data20/dev-services'
import t from 'tap'
import { build, createDatabase, find, readValue, run, writeDocuments } from '../helpers.ts'

const postgres = await startPostgres({ durable: false })
t.teardown(() => postgres.stop())

t.test('the cache of results', async (t) => {
  const documents = writeDocuments(t, 2)
  const app = await build(t, { DATABASE_URL: await createDatabase(postgres.url), DOCS_DIR: documents })
  const executions = () => readValue(app, 'tool_executions_total{status="completed",tool_name="search"}')
  const hits = () => readValue(app, 'cache_hits_total{cache_type="tool_results"}')
  const misses = () => readValue(app, 'cache_misses_total{cache_type="tool_results"}')
  const search = async (more: object = {}) => {
    return (await run(app, { tool: 'search', params: { query: 'word1', limit: 3 }, ...more })).json()
  }

  await t.test('answers what is known without an execution, whatever the order of the parameters', async (t) => {
    const first = await search()
    const second = await search({ params: { limit: 3, query: 'word1' } })

    t.notOk('cached' in first)
    t.match(second, { run_id: first.run_id, status: 'completed', cached: true, duration_ms: Number })
    t.strictSame(second.result, first.result)
    t.strictSame([await executions(), await misses(), await hits()], [1, 1, 1])
    t.equal(await readValue(app, 'cache_entries{cache_type="tool_results"}'), 1)
    t.ok((await readValue(app, 'cache_size_bytes{cache_type="tool_results"}')) > JSON.stringify(first.result).length)
    t.equal((await find(app, first.run_id)).status, 'completed')
  })

  await t.test('runs anew for other parameters, other documents, and when asked to', async (t) => {
    t.notOk('cached' in (await search({ params: { query: 'word2' } })))
    t.strictSame([await executions(), await misses(), await hits()], [2, 2, 1])

    t.notOk('cached' in (await search({ cache: false })))
    t.strictSame([await executions(), await misses(), await hits()], [3, 2, 1], 'no lookup')
    t.match(await search(), { cached: true })

    rmSync(`${documents}/document-1.md`)
    t.notOk('cached' in (await search()))
    t.strictSame([await executions(), await misses(), await hits()], [4, 3, 2])
  })

  await t.test('keeps no more than its bytes, and nothing with none', async (t) => {
    const none = await build(t, { DATABASE_URL: await createDatabase(postgres.url), CACHE_MAX_BYTES: '0' })
    await run(none, { tool: 'document_stats' })
    t.notOk('cached' in (await run(none, { tool: 'document_stats' })).json())
    t.equal(await readValue(none, 'cache_size_bytes{cache_type="tool_results"}'), 0)

    const little = await build(t, { DATABASE_URL: await createDatabase(postgres.url), CACHE_MAX_BYTES: '2000' })
    for (let limit = 1; limit < 10; limit += 1) {
      await run(little, { tool: 'extract_keywords', params: { limit, document: 'guide.md' } })
    }
    t.ok((await readValue(little, 'cache_size_bytes{cache_type="tool_results"}')) <= 2000)
    t.ok((await readValue(little, 'cache_evictions_total{cache_type="tool_results",reason="evict"}')) > 0)
  })
})
