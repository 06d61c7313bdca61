import t from 'tap'
import type { SearchResult } from '../../../dist/knowledge/tools/search.js'
import { FASTIFY_DOCS, poolOf, SMALL } from '../helpers.ts'

t.test('search ranks a match in the title first and shows where the words stand', async (t) => {
  const run = poolOf(t, SMALL)
  const zebra = (await run('search', { query: 'zebra' })) as SearchResult
  const guide = (await run('search', { query: 'guide', limit: 1 })) as SearchResult
  const mistyped = (await run('search', { query: 'comand' })) as SearchResult
  const nothing = (await run('search', { query: '?!' })) as SearchResult

  t.equal(zebra.total, 1)
  t.match(zebra.results, [
    { document: 'lonely.md', title: 'Zebra', heading: 'Zebra', line: 3, snippet: 'A zebra has stripes.' },
  ])
  t.equal(guide.total, 2, 'the guide, and the index that names it')
  t.same(
    guide.results.map(({ document }) => document),
    ['guide.md'],
  )
  t.same(mistyped.results.map(({ document }) => document).sort(), ['guide.md', 'reference/api.md'])
  t.same(nothing, { total: 0, results: [] })
})

t.test('search finds the document about the thing', async (t) => {
  const run = poolOf(t, FASTIFY_DOCS)
  const { results } = (await run('search', { query: 'content type parser', limit: 3 })) as SearchResult

  t.equal(results.length, 3)
  t.equal(results[0]!.document, 'Reference/ContentTypeParser.md')
  t.match(results[0]!.snippet.toLowerCase(), /content|parser/)
  t.ok(results[0]!.score >= results[1]!.score)
})
