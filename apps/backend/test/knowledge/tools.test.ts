import { existsSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import { loadCorpus } from '../../dist/knowledge/corpus/corpus.js'
import type { GraphResult } from '../../dist/knowledge/tools/build-graph.js'
import type { LinksResult } from '../../dist/knowledge/tools/check-links.js'
import type { StatsResult } from '../../dist/knowledge/tools/document-stats.js'
import type { KeywordsResult } from '../../dist/knowledge/tools/extract-keywords.js'
import type { DuplicatesResult } from '../../dist/knowledge/tools/find-duplicates.js'
import { findTool, tools } from '../../dist/knowledge/tools/index.js'
import { parseParameters } from '../../dist/knowledge/tools/parameters.js'
import type { SearchResult } from '../../dist/knowledge/tools/search.js'
import { FASTIFY_DOCS, fastifySources, grepLinks, poolOf, SMALL } from './helpers.ts'

// Its thread parses the folder once for all tests.
const runOnSmall = poolOf(t, SMALL)
const runOnFastify = poolOf(t, FASTIFY_DOCS)

t.test('a wrong parameter is refused with its name, and an unknown tool as such', async (t) => {
  const wrong = (field: string) => ({ code: 'INVALID_PARAMETER', statusCode: 400, field })

  await t.rejects(runOnSmall('search'), wrong('query'))
  await t.rejects(runOnSmall('search', { query: '' }), wrong('query'))
  await t.rejects(runOnSmall('search', { query: 'a', limit: 0 }), wrong('limit'))
  await t.rejects(runOnSmall('search', { query: 'a', limit: '5' }), wrong('limit'))
  await t.rejects(runOnSmall('find_duplicates', { threshold: 1.1 }), wrong('threshold'))
  await t.rejects(runOnSmall('build_graph', { colour: 'red' }), wrong('colour'))
  await t.rejects(runOnSmall('build_graph', []), wrong(''))
  await t.rejects(runOnSmall('extract_keywords', { document: 'none.md' }), wrong('document'))
  await t.rejects(runOnSmall('make_coffee'), { code: 'UNKNOWN_TOOL', statusCode: 404 })
  await t.rejects(runOnSmall('__proto__'), { code: 'UNKNOWN_TOOL' })
})

t.test('every tool describes its parameters and answers plain JSON that is the same each time', async (t) => {
  const corpus = await loadCorpus(SMALL)
  const again = await loadCorpus(SMALL)

  t.same(
    [...tools.keys()],
    ['build_graph', 'search', 'extract_keywords', 'find_duplicates', 'check_links', 'document_stats'],
  )
  for (const tool of tools.values()) {
    t.match(tool.parameters, { type: 'object', additionalProperties: false })
    for (const [name, schema] of Object.entries(tool.parameters.properties))
      t.type((schema as { description?: string }).description, 'string', name)
    const parameters = parseParameters(tool, tool.name === 'search' ? { query: 'the guide' } : {})
    const result = await tool.run(corpus, parameters)
    t.same(JSON.parse(JSON.stringify(result)), result)
    t.equal(JSON.stringify(await tool.run(again, parameters)), JSON.stringify(result), `${tool.name} is deterministic`)
  }
})

t.test('build_graph answers nodes, edges, orphans and PageRank', async (t) => {
  const { nodes, edges, orphans, totals } = (await runOnSmall('build_graph')) as GraphResult

  t.same(edges, [
    { source: 'guide.md', target: 'index.md', count: 1 },
    { source: 'guide.md', target: 'reference/api.md', count: 2 },
    { source: 'index.md', target: 'guide.md', count: 2 },
    { source: 'index.md', target: 'reference/api.md', count: 1 },
  ])
  t.same(
    nodes.map(({ rank, ...node }) => node),
    [
      { id: 'guide.md', title: 'Guide', inbound: 1, outbound: 2 },
      { id: 'index.md', title: 'Small handbook', inbound: 1, outbound: 2 },
      { id: 'lonely.md', title: 'Zebra', inbound: 0, outbound: 0 },
      { id: 'reference/api.md', title: 'Reference', inbound: 2, outbound: 0 },
    ],
  )
  t.same(orphans, ['lonely.md'])
  t.same(totals, { nodes: 4, edges: 4, links: 6, orphans: 1 })
  // With base b = 0.15/4 + 0.85/4 · (rank of the two dangling pages): lonely = b, guide = index = b / (1 − 0.425),
  // api = b + 0.85 · guide, and the sum is 1, so that b = 0.14375.
  const expected = [0.25, 0.25, 0.14375, 0.35625]
  for (const [position, { id, rank }] of nodes.entries())
    t.ok(Math.abs(rank - expected[position]!) < 1e-9, `${id} ranks ${rank}`)
})

t.test('build_graph agrees with a grep of the links', async (t) => {
  const sources = fastifySources()
  const first = (await runOnFastify('build_graph')) as GraphResult
  const counts = new Map<string, number>()
  for (const [id, source] of sources) {
    for (const url of grepLinks(source)) {
      const [path = ''] = url.split('#')
      if (/^[a-z]+:/.test(url) || !path.endsWith('.md')) continue
      const target = posix.join(posix.dirname(id), path)
      const key = `${id} -> ${target}`
      if (sources.has(target) && target !== id) counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  // The grep above knows no reference links; none of them may lead to a document.
  const definitions = [...sources.values()].flatMap((source) => source.match(/^\[[^\]]+\]:\s+\S+/gm) ?? [])
  t.ok(definitions.length > 30)
  t.notOk(definitions.some((definition) => /\.md/.test(definition) && !/https?:/.test(definition)))

  t.same(
    first.nodes.map(({ id }) => id),
    [...sources.keys()],
  )
  t.ok(first.edges.length > 100)
  t.same(new Map(first.edges.map(({ source, target, count }) => [`${source} -> ${target}`, count])), counts)
  t.ok(Math.abs(first.nodes.reduce((sum, { rank }) => sum + rank, 0) - 1) < 1e-9)
})

t.test('search ranks a match in the title first and shows where the words stand', async (t) => {
  const zebra = (await runOnSmall('search', { query: 'zebra' })) as SearchResult
  const guide = (await runOnSmall('search', { query: 'guide', limit: 1 })) as SearchResult
  const mistyped = (await runOnSmall('search', { query: 'comand' })) as SearchResult
  const nothing = (await runOnSmall('search', { query: '?!' })) as SearchResult

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
  const { results } = (await runOnFastify('search', { query: 'content type parser', limit: 3 })) as SearchResult

  t.equal(results.length, 3)
  t.equal(results[0]!.document, 'Reference/ContentTypeParser.md')
  t.match(results[0]!.snippet.toLowerCase(), /content|parser/)
  t.ok(results[0]!.score >= results[1]!.score)
})

t.test('extract_keywords scores by TF-IDF, for one document or for all', async (t) => {
  const one = (await runOnSmall('extract_keywords', { document: 'lonely.md' })) as KeywordsResult
  const all = (await runOnSmall('extract_keywords', { limit: 1 })) as KeywordsResult

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
  const { documents } = (await runOnFastify('extract_keywords', {
    document: 'Guides/Prototype-Poisoning.md',
  })) as KeywordsResult

  const terms = documents[0]!.keywords.map(({ term }) => term)
  t.equal(terms.length, 10)
  t.ok(terms.includes('__proto__') || terms.includes('prototype'), terms.join(' '))
})

t.test('find_duplicates finds equal passages, and near ones from their similarity down', async (t) => {
  const strict = (await runOnSmall('find_duplicates')) as DuplicatesResult
  const loose = (await runOnSmall('find_duplicates', { threshold: 0.77 })) as DuplicatesResult
  const tight = (await runOnSmall('find_duplicates', { threshold: 0.78 })) as DuplicatesResult

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
  const sources = fastifySources()
  const sentence = 'This table of contents is in alphabetical order.'
  const holders = [...sources].filter(([, source]) => source.includes(sentence)).map(([id]) => id)

  const { groups, truncated } = (await runOnFastify('find_duplicates')) as DuplicatesResult

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

t.test('check_links names what leads nowhere, and only that', async (t) => {
  const result = (await runOnSmall('check_links')) as LinksResult

  t.same(result, {
    broken: [
      { document: 'guide.md', line: 15, url: 'reference/api.md#nope', reason: 'missing_anchor' },
      { document: 'reference/api.md', line: 10, url: 'nowhere.md', reason: 'missing_file' },
      { document: 'reference/api.md', line: 11, url: 'missing.png', reason: 'missing_file' },
      { document: 'reference/api.md', line: 13, url: '%E0%A4%A', reason: 'malformed_url' },
    ],
    outside: [{ document: 'reference/api.md', line: 12, url: '../../secret.md' }],
    totals: { links: 15, external: 1, broken: 4, outside: 1 },
    truncated: false,
  })
})

t.test('check_links names the files that are missing on disk', async (t) => {
  const sources = fastifySources()
  const missing: string[] = []
  for (const [id, source] of sources) {
    for (const url of grepLinks(source)) {
      if (/^(?:[a-z]+:|#|www\.)/.test(url)) continue
      const target = posix.join(posix.dirname(id), url.split('#')[0]!)
      if (!existsSync(join(FASTIFY_DOCS, target))) missing.push(`${id} ${url}`)
    }
  }

  const { broken, totals } = (await runOnFastify('check_links')) as LinksResult

  t.ok(missing.length > 0, 'the documents of Fastify have a link to nothing')
  t.same(
    broken.filter(({ reason }) => reason === 'missing_file').map(({ document, url }) => `${document} ${url}`),
    missing,
  )
  t.ok(totals.external > 500)
})

t.test('document_stats counts words, headings, links and code', async (t) => {
  const { documents, totals, skipped } = (await runOnSmall('document_stats')) as StatsResult

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
  const sources = fastifySources()
  const fences = [...sources.values()].reduce(
    (sum, source) => sum + (source.match(/^\s*(?:> ?)?```/gm)?.length ?? 0),
    0,
  )

  const { totals } = (await runOnFastify('document_stats')) as StatsResult

  t.equal(
    totals.bytes,
    [...sources.keys()].reduce((sum, id) => sum + statSync(join(FASTIFY_DOCS, id)).size, 0),
  )
  t.equal(totals.code_blocks, fences / 2)
  t.ok(totals.words > 40_000 && totals.words < 60_000)
  t.ok(totals.code_share > 0.2 && totals.code_share < 0.5)
})
