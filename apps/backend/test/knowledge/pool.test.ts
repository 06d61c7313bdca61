import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '@data20/dev-services'
import t from 'tap'
import { fingerprintCorpus } from '../../dist/knowledge/corpus/corpus.js'
import { createToolPool } from '../../dist/knowledge/pool.js'
import type { GraphResult } from '../../dist/knowledge/tools/build-graph.js'
import type { LinksResult } from '../../dist/knowledge/tools/check-links.js'
import { busyShare, distinctPassages, runIn } from './helpers.ts'

t.test('the fingerprint and the answers follow the documents', async (t) => {
  const docsDir = t.testdir({ 'a.md': '# First\n', sub: { 'b.md': '[image](../image.png)\n' } })
  const pool = createToolPool({ docsDir })
  t.teardown(() => pool.close())
  const titles = async (): Promise<string[]> =>
    ((await runIn(pool, 'build_graph')) as GraphResult).nodes.map(({ title }) => title)

  const before = await pool.fingerprint()
  t.equal(await pool.fingerprint(), before, 'it stays while nothing changes')
  t.same(await titles(), ['First', 'sub/b.md'])

  writeFileSync(join(docsDir, 'a.md'), '# Changed\n')
  const changed = await pool.fingerprint()
  t.not(changed, before)
  t.same(await titles(), ['Changed', 'sub/b.md'])

  t.equal(((await runIn(pool, 'check_links')) as LinksResult).totals.broken, 1)
  writeFileSync(join(docsDir, 'image.png'), '')
  t.not(await fingerprintCorpus(docsDir), changed, 'links may lead to files that are no documents')
  t.equal(((await runIn(pool, 'check_links')) as LinksResult).totals.broken, 0)
})

t.test('aborting a run stops its thread, whatever it does', async (t) => {
  const docsDir = t.testdir({ 'small.md': '# Small\n' })
  for (let file = 0; file < 40; file++) writeFileSync(join(docsDir, `${file}.md`), distinctPassages(file, 700_000))
  const pool = createToolPool({ docsDir, maxThreads: 1 })
  t.teardown(() => pool.close())
  const running = new AbortController()
  const waiting = new AbortController()

  const run = runIn(pool, 'find_duplicates', {}, { signal: running.signal })
  const queued = runIn(pool, 'build_graph', {}, { signal: waiting.signal })
  run.catch(() => {})
  await until('the thread to compute', async () => (await busyShare(500)) > 0.3)
  waiting.abort()
  await t.rejects(queued, { name: 'AbortError' })

  const aborted = performance.now()
  running.abort(new Error('the client left'))
  await t.rejects(run, { name: 'AbortError', cause: { message: 'the client left' } })
  t.ok(performance.now() - aborted < 10_000, 'the run itself would take a minute')
  // The run would go on for a minute; a new thread is busy for as long as it starts.
  await until('no thread to compute', async () => (await busyShare(500)) <= 0.2)

  for (let file = 0; file < 40; file++) rmSync(join(docsDir, `${file}.md`))
  t.match(await runIn(pool, 'build_graph'), { nodes: [{ id: 'small.md' }] }, 'a new thread takes the next run')
  await t.rejects(runIn(pool, 'build_graph', {}, { signal: AbortSignal.abort() }), { name: 'AbortError' })
})

t.test('closing the pool ends its threads and leaves nothing behind', async (t) => {
  const handles = (): string[] =>
    process.getActiveResourcesInfo().filter((name) => /MessagePort|Worker|Timeout/.test(name))
  const before = handles()
  const docsDir = t.testdir({ 'small.md': '# Small\n' })
  const pool = createToolPool({ docsDir, maxThreads: 2 })
  await runIn(pool, 'search', { query: 'small' })
  for (let file = 0; file < 10; file++) writeFileSync(join(docsDir, `${file}.md`), distinctPassages(file, 700_000))
  const running = runIn(pool, 'find_duplicates')
  const rejected = t.rejects(running)

  await pool.close()
  await rejected

  await t.rejects(runIn(pool, 'build_graph'), { code: 'POOL_CLOSED', statusCode: 503 })
  t.equal(pool.threads, 0)
  // A thread has ended a moment before its ports are closed.
  await until('nothing to be left', () => JSON.stringify(handles()) === JSON.stringify(before))
})
