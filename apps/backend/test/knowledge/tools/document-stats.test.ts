import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { StatsResult } from '../../../dist/knowledge/tools/document-stats.js'
import { FASTIFY_DOCS, fastifySources, poolOf, SMALL } from '../helpers.ts'

t.test('document_stats counts words, headings, links and code', async (t) => {
  const run = poolOf(t, SMALL)
  const { documents, totals, skipped } = (await run('document_stats')) as StatsResult

  t.same(documents[1], {
    document: 'index.md',
    title: 'Small handbook',
    bytes: statSync(join(SMALL, 'index.md')).size,
    words: 14,
    reading_minutes: 0.1,
    headings: 1,
    links: 3,
    images: 1,
    code_blocks: 0,
    code_share: 0,
  })
  // 5 characters of heading, 20 of text and 4 of code: 4/29.
  t.match(documents[2], {
    document: 'lonely.md',
    words: 5,
    reading_minutes: 0,
    headings: 1,
    code_blocks: 1,
    code_share: 0.138,
  })
  t.match(totals, { documents: 4, headings: 7, links: 13, images: 2, code_blocks: 2 })
  t.same(skipped, [])
})

t.test('document_stats agrees with a count of bytes and fences', async (t) => {
  const run = poolOf(t, FASTIFY_DOCS)
  const sources = fastifySources()
  const fences = [...sources.values()].reduce(
    (sum, source) => sum + (source.match(/^\s*(?:> ?)?```/gm)?.length ?? 0),
    0,
  )

  const { totals } = (await run('document_stats')) as StatsResult

  t.equal(
    totals.bytes,
    [...sources.keys()].reduce((sum, id) => sum + statSync(join(FASTIFY_DOCS, id)).size, 0),
  )
  t.equal(totals.code_blocks, fences / 2)
  t.ok(totals.words > 40_000 && totals.words < 60_000)
  t.ok(totals.code_share > 0.2 && totals.code_share < 0.5)
})
