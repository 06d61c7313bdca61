import t from 'tap'
import type { KeywordsResult } from '../../../dist/knowledge/tools/extract-keywords.js'
import { FASTIFY_DOCS, poolOf, SMALL } from '../helpers.ts'

t.test('extract_keywords scores by TF-IDF, for one document or for all', async (t) => {
  const run = poolOf(t, SMALL)
  const one = (await run('extract_keywords', { document: 'lonely.md' })) as KeywordsResult
  const all = (await run('extract_keywords', { limit: 1 })) as KeywordsResult

  // Three terms, each in one of four documents: 2/3 and 1/3 of ln(5/2) + 1. The code block is not counted.
  t.same(one, {
    documents: [
      {
        document: 'lonely.md',
        keywords: [
          { term: 'zebra', count: 2, score: 1.277527 },
          { term: 'stripes', count: 1, score: 0.638764 },
        ],
      },
    ],
  })
  t.same(
    all.documents.map(({ document, keywords }) => [document, keywords.length]),
    [
      ['guide.md', 1],
      ['index.md', 1],
      ['lonely.md', 1],
      ['reference/api.md', 1],
    ],
  )
})

t.test('extract_keywords says what a document is about', async (t) => {
  const run = poolOf(t, FASTIFY_DOCS)
  const { documents } = (await run('extract_keywords', {
    document: 'Guides/Prototype-Poisoning.md',
  })) as KeywordsResult

  const terms = documents[0]!.keywords.map(({ term }) => term)
  t.equal(terms.length, 10)
  t.ok(terms.includes('__proto__') || terms.includes('prototype'), terms.join(' '))
})
