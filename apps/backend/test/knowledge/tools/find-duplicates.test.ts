import t from 'tap'
import { loadCorpus } from '../../../dist/knowledge/corpus/corpus.js'
import type { DuplicatesResult } from '../../../dist/knowledge/tools/find-duplicates.js'
import { findTool, parseParameters } from '../../../dist/knowledge/tools/index.js'
import { FASTIFY_DOCS, fastifySources, poolOf, SMALL } from '../helpers.ts'

t.test('find_duplicates finds equal passages, and near ones from their similarity down', async (t) => {
  const run = poolOf(t, SMALL)
  const strict = (await run('find_duplicates')) as DuplicatesResult
  const loose = (await run('find_duplicates', { threshold: 0.77 })) as DuplicatesResult
  const tight = (await run('find_duplicates', { threshold: 0.78 })) as DuplicatesResult

  const equal = 'Every command exits with zero when all went well.'
  const equalGroup = {
    similarity: 1,
    count: 2,
    passages: [
      { document: 'guide.md', line: 9, text: equal },
      { document: 'reference/api.md', line: 7, text: equal },
    ],
  }
  // Ten words make eight shingles; one other last word leaves seven in common of nine: 7/9 = 0.778.
  const nearGroup = {
    similarity: 0.778,
    count: 2,
    passages: [
      { document: 'guide.md', line: 7, text: 'The quick brown fox jumps over the lazy sleeping dog.' },
      { document: 'reference/api.md', line: 5, text: 'The quick brown fox jumps over the lazy sleeping cat.' },
    ],
  }
  t.same(strict.groups, [equalGroup])
  t.same(loose.groups, [nearGroup, equalGroup])
  t.same(tight.groups, [equalGroup])
  t.same(loose.totals, { groups: 2, passages: 4 })
  t.equal(loose.truncated, false)
})

t.test('find_duplicates finds the sentences that a grep finds twice', async (t) => {
  const run = poolOf(t, FASTIFY_DOCS)
  const sources = fastifySources()
  const sentence = 'This table of contents is in alphabetical order.'
  const holders = [...sources].filter(([, source]) => source.includes(sentence)).map(([id]) => id)

  const { groups, truncated } = (await run('find_duplicates')) as DuplicatesResult

  t.equal(holders.length, 2)
  const group = groups.find(({ passages }) => passages[0]!.text === sentence)
  t.same(
    group?.passages.map(({ document }) => document),
    holders,
  )
  t.ok(groups.every(({ similarity }) => similarity >= 0.8))
  t.equal(truncated, false)
})

t.test('thousands of passages that are alike do not slow find_duplicates down', async (t) => {
  const alike = Array.from(
    { length: 6000 },
    (_, index) => `Number ${index} of the passages that all say the same thing to the reader here.`,
  )
  const equal = Array.from({ length: 6000 }, () => 'A licence text that stands in each and every file of the project.')
  const docsDir = t.testdir({ 'a.md': [...alike, ...equal].join('\n\n'), 'b.md': [...equal, ...alike].join('\n\n') })
  const corpus = await loadCorpus(docsDir)
  const tool = findTool('find_duplicates')

  const result = (await tool.run(corpus, parseParameters(tool, { threshold: 0.6 }))) as DuplicatesResult

  t.same(
    result.groups.map(({ count, passages }) => [count, passages.length]),
    [
      [12_000, 50],
      [12_000, 50],
    ],
  )
  t.equal(result.truncated, true)
})
