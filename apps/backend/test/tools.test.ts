import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { fingerprintCorpus, loadCorpus } from '../dist/knowledge/corpus/corpus.js'
import { parseDocument } from '../dist/knowledge/corpus/document.js'
import { createToolPool, type ToolPool } from '../dist/knowledge/pool.js'
import type { GraphResult } from '../dist/knowledge/tools/build-graph.js'
import type { LinksResult } from '../dist/knowledge/tools/check-links.js'
import type { StatsResult } from '../dist/knowledge/tools/document-stats.js'
import type { KeywordsResult } from '../dist/knowledge/tools/extract-keywords.js'
import type { DuplicatesResult } from '../dist/knowledge/tools/find-duplicates.js'
import { findTool, parseParameters, tools } from '../dist/knowledge/tools/index.js'
import type { SearchResult } from '../dist/knowledge/tools/search.js'
import './threads.ts'

const SMALL = fileURLToPath(new URL('fixtures/small', import.meta.url))
const FASTIFY_DOCS = fileURLToPath(new URL('docs', import.meta.resolve('fastify/package.json')))

t.test('a small corpus whose answers are known by hand', async (t) => {
  const run = poolOf(t, SMALL)

  await t.test('build_graph answers nodes, edges, orphans and PageRank', async (t) => {
    const { nodes, edges, orphans, totals } = (await run('build_graph')) as GraphResult

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

  await t.test('search ranks a match in the title first and shows where the words stand', async (t) => {
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

  await t.test('extract_keywords scores by TF-IDF, for one document or for all', async (t) => {
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

  await t.test('find_duplicates finds equal passages, and near ones from their similarity down', async (t) => {
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

  await t.test('check_links names what leads nowhere, and only that', async (t) => {
    const result = (await run('check_links')) as LinksResult

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

  await t.test('document_stats counts words, headings, links and code', async (t) => {
    const { documents, totals, skipped, simplified } = (await run('document_stats')) as StatsResult

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
    t.same([skipped, simplified], [[], []])
  })

  await t.test('a wrong parameter is refused with its name, and an unknown tool as such', async (t) => {
    const wrong = (field: string) => ({ code: 'BACKEND_INVALID_PARAMETER', statusCode: 400, field })

    await t.rejects(run('search'), wrong('query'))
    await t.rejects(run('search', { query: '' }), wrong('query'))
    await t.rejects(run('search', { query: 'a', limit: 0 }), wrong('limit'))
    await t.rejects(run('search', { query: 'a', limit: '5' }), wrong('limit'))
    await t.rejects(run('find_duplicates', { threshold: 1.1 }), wrong('threshold'))
    await t.rejects(run('build_graph', { colour: 'red' }), wrong('colour'))
    await t.rejects(run('build_graph', []), wrong(''))
    await t.rejects(run('extract_keywords', { document: 'none.md' }), wrong('document'))
    await t.rejects(run('make_coffee'), { code: 'BACKEND_UNKNOWN_TOOL', statusCode: 404 })
    await t.rejects(run('__proto__'), { code: 'BACKEND_UNKNOWN_TOOL' })
  })
})

t.test('the documents that Fastify ships', async (t) => {
  const run = poolOf(t, FASTIFY_DOCS)
  const sources = new Map(markdownFilesOf(FASTIFY_DOCS).map((id) => [id, readFileSync(join(FASTIFY_DOCS, id), 'utf8')]))
  const firstStarted = performance.now()
  const first = (await run('build_graph')) as GraphResult
  const firstMs = performance.now() - firstStarted

  await t.test('build_graph agrees with a grep of the links', async (t) => {
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

  await t.test('search finds the document about the thing', async (t) => {
    const { results } = (await run('search', { query: 'content type parser', limit: 3 })) as SearchResult

    t.equal(results.length, 3)
    t.equal(results[0]!.document, 'Reference/ContentTypeParser.md')
    t.match(results[0]!.snippet.toLowerCase(), /content|parser/)
    t.ok(results[0]!.score >= results[1]!.score)
  })

  await t.test('extract_keywords says what a document is about', async (t) => {
    const { documents } = (await run('extract_keywords', {
      document: 'Guides/Prototype-Poisoning.md',
    })) as KeywordsResult

    const terms = documents[0]!.keywords.map(({ term }) => term)
    t.equal(terms.length, 10)
    t.ok(terms.includes('__proto__') || terms.includes('prototype'), terms.join(' '))
  })

  await t.test('find_duplicates finds the sentences that a grep finds twice', async (t) => {
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

  await t.test('check_links names the files that are missing on disk', async (t) => {
    const missing: string[] = []
    for (const [id, source] of sources) {
      for (const url of grepLinks(source)) {
        if (/^(?:[a-z]+:|#|www\.)/.test(url)) continue
        const target = posix.join(posix.dirname(id), url.split('#')[0]!)
        if (!existsSync(join(FASTIFY_DOCS, target))) missing.push(`${id} ${url}`)
      }
    }

    const { broken, totals } = (await run('check_links')) as LinksResult

    t.ok(missing.length > 0, 'the documents of Fastify have a link to nothing')
    t.same(
      broken.filter(({ reason }) => reason === 'missing_file').map(({ document, url }) => `${document} ${url}`),
      missing,
    )
    t.ok(totals.external > 500)
  })

  await t.test('document_stats agrees with a count of bytes and fences', async (t) => {
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

  await t.test('the second run does not parse again and answers the same', async (t) => {
    const started = performance.now()
    const second = await run('build_graph')
    const secondMs = performance.now() - started

    t.same(second, first)
    t.ok(secondMs < firstMs / 3, `first ${Math.round(firstMs)} ms, second ${Math.round(secondMs)} ms`)
  })
})

t.test('hundreds of READMEs of other people are taken as they are', async (t) => {
  const docsDir = t.testdir()
  const packages = fileURLToPath(new URL('../../../node_modules/.pnpm', import.meta.url))
  const readmes = readdirSync(packages)
    .flatMap((name) => [join(packages, name, 'node_modules', name.split('@')[0]!, 'README.md')])
    .filter((path) => existsSync(path))
    .slice(0, 220)
  for (const [position, path] of readmes.entries()) copyFileSync(path, join(docsDir, `${position}.md`))
  const run = poolOf(t, docsDir)

  t.ok(readmes.length >= 200, `${readmes.length} READMEs`)
  const results = await runAll(run)
  t.equal((results.build_graph as GraphResult).nodes.length, readmes.length)
  t.ok((results.check_links as LinksResult).totals.links > 1000)
  t.ok((results.find_duplicates as DuplicatesResult).groups.length > 0, 'licence sections are alike')
})

t.test('files that no one would write by hand neither crash nor hang a tool', async (t) => {
  const megabytes = (text: string, count = 5): string => text.repeat(Math.ceil((count * 1e6) / text.length))
  const docsDir = t.testdir({
    'broken-utf8.md': Buffer.from([0x23, 0x20, 0xff, 0xfe, 0x41, 0xc3, 0x28, 0x0a]),
    'byte-order-mark.md': '\uFEFF# After the mark\n',
    'empty.md': '',
    'front-matter.markdown': '---\ntitle: From above\n---\n\nText without a heading.\n',
    'binary.md': Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7919 + (index >> 8)) % 256)),
    'prose.md': megabytes('Some [link](./nowhere.md) and *text* in `code` here.\n\n'),
    'one-line.md': megabytes('word '),
    'brackets.md': megabytes('['),
    'stars.md': megabytes('***'),
    'quotes.md': megabytes('>'),
    'short-quotes.md': '>'.repeat(20_000),
    'emphasis.md': '*a_'.repeat(20_000),
    'strikes.md': '~a'.repeat(30_000),
    'links.md': '[a]('.repeat(30_000),
    'ticks.md': Array.from({ length: 1000 }, (_, index) => '`'.repeat(index)).join('a'),
    'nested-list.md': Array.from({ length: 700 }, (_, index) => `${' '.repeat(index * 2)}- a`).join('\n'),
    // 250,000 of them, where 200,000 are listed.
    'headings.md': megabytes('# h\n', 1),
    'definitions.md': Array.from({ length: 20_000 }, (_, index) => `[l${index}]: u${index}\n\n[l${index}]`).join('\n'),
    'open-fence.md': `\`\`\`\n${megabytes('a [b](c)\n', 1)}`,
    'open-comment.md': `<!--\n${megabytes('a [b](c)\n\n', 1)}`,
    'too-large.md': Buffer.alloc(17 * 1024 * 1024, 'a'),
  })
  const run = poolOf(t, docsDir)

  const started = performance.now()
  const results = await runAll(run)
  const seconds = (performance.now() - started) / 1000

  t.ok(seconds < 60, `six tools took ${Math.round(seconds)} s`)
  const stats = results.document_stats as StatsResult
  const titles = new Map(stats.documents.map(({ document, title }) => [document, title]))
  t.equal(titles.get('broken-utf8.md'), '\uFFFD\uFFFDA\uFFFD(')
  t.equal(titles.get('byte-order-mark.md'), 'After the mark')
  t.equal(titles.get('empty.md'), 'empty.md')
  t.equal(titles.get('front-matter.markdown'), 'From above')
  t.same(stats.skipped, [{ path: 'too-large.md', reason: 'larger than 16777216 bytes' }])
  const simplified = new Map(stats.simplified.map(({ path, reason }) => [path, reason]))
  t.match(simplified.get('prose.md'), /longer than/)
  t.equal(simplified.get('short-quotes.md'), 'nested too deeply')
  t.equal(simplified.get('emphasis.md'), 'too many markers in one paragraph')
  t.notOk(simplified.has('front-matter.markdown'))
  const links = new Map(stats.documents.map(({ document, links }) => [document, links]))
  t.ok(links.get('prose.md')! > 90_000, 'links are found in what is not parsed as well')
  t.equal(links.get('open-fence.md'), 0, 'what a fence opens stays code')
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

  const started = performance.now()
  const result = (await tool.run(corpus, parseParameters(tool, { threshold: 0.6 }))) as DuplicatesResult
  const seconds = (performance.now() - started) / 1000

  t.ok(seconds < 20, `took ${seconds.toFixed(1)} s`)
  t.same(
    result.groups.map(({ count, passages }) => [count, passages.length]),
    [
      [12_000, 50],
      [12_000, 50],
    ],
  )
  t.equal(result.truncated, true)
})

t.test('a long document cut into sections says the same as its parts', async (t) => {
  // Beyond 48 KiB a document is parsed in sections; definitions hold across them, fences are not cut, lines go on.
  const part = (index: number): string =>
    `## Part ${index}\n\nSee [there][target] and [here](#part-${index}).\n\n- item\n\n  \`\`\`js\n  // [no](link.md)\n\n# no heading\n  \`\`\`\n\n`
  const source = `${Array.from({ length: 1000 }, (_, index) => part(index).replace('# no heading', '  # no heading')).join('')}[target]: other.md\n`

  const document = parseDocument('long.md', source)

  t.ok(source.length > 2 * 48 * 1024)
  t.equal(document.simplified, undefined)
  t.equal(document.headings.length, 1000)
  t.equal(document.blocks.filter(({ kind }) => kind === 'code').length, 1000)
  t.same(document.links.at(-2), { kind: 'link', url: 'other.md', line: 3 + 999 * 12 })
  t.equal(document.links.filter(({ url }) => url === 'other.md').length, 1000)
  t.equal(document.links.length, 2000)
})

t.test('symbolic links, special and unreadable files', async (t) => {
  const made = t.testdir({
    outside: { 'secret.md': '# Topsecret\n\nThe topsecret word.\n', 'plain.txt': 'topsecret' },
    docs: {
      'real.md': '# Real\n',
      'text.txt': '# Named by a link\n',
      'closed.md': '# Closed\n',
      sub: { 'deep.md': '# Deep\n\n[up](../real.md) [by a link](again/sub/deep.md) [same](same.md)\n' },
      '.hidden': { 'hidden.md': '# Hidden\n' },
      node_modules: { 'package.md': '# Package\n' },
      'probe.md':
        '[a](leave.md) [b](leave/secret.md) [c](leave/none.md) [d](%2e%2e/outside/secret.md) [e](/../outside/secret.md) [f](.hidden/hidden.md) [g](.hidden/none.md)\n',
    },
  })
  // Under a folder that anybody may enter, as nobody does below; the checkout may be in one that is closed.
  const outer = mkdtempSync(join(tmpdir(), 'data20-links-'))
  t.teardown(() => rmSync(outer, { recursive: true, force: true }))
  chmodSync(outer, 0o755)
  cpSync(made, outer, { recursive: true })
  const docsDir = join(outer, 'docs')
  const link = (target: string, path: string): void => symlinkSync(target, join(docsDir, path))
  link(join(outer, 'outside/secret.md'), 'leave.md')
  link('../outside', 'leave')
  link('../../outside/secret.md', 'sub/leave-up.md')
  link('/etc/passwd', 'passwd.md')
  link('.', 'again')
  link('loop-b.md', 'loop-a.md')
  link('loop-a.md', 'loop-b.md')
  link('real.md', 'same.md')
  link(join(docsDir, 'sub/deep.md'), 'absolute.md')
  link('text.txt', 'named.md')
  link('.hidden/hidden.md', 'unhidden.md')
  execFileSync('mkfifo', [join(docsDir, 'pipe.md')])
  chmodSync(join(docsDir, 'closed.md'), 0)

  await t.test('a document counts once, and what leads out of the folder is left out', async (t) => {
    const corpus = await asNobody(() => loadCorpus(docsDir))

    t.same(
      corpus.documents.map(({ id }) => id),
      ['named.md', 'probe.md', 'real.md', 'sub/deep.md'],
    )
    t.same(corpus.skipped, [
      { path: 'closed.md', reason: 'EACCES' },
      { path: 'leave', reason: 'symbolic link out of the folder' },
      { path: 'leave.md', reason: 'symbolic link out of the folder' },
      { path: 'loop-a.md', reason: 'symbolic link to nothing' },
      { path: 'loop-b.md', reason: 'symbolic link to nothing' },
      { path: 'passwd.md', reason: 'symbolic link out of the folder' },
      { path: 'pipe.md', reason: 'not a regular file' },
      { path: 'sub/leave-up.md', reason: 'symbolic link out of the folder' },
    ])
  })

  await t.test(
    'links through symbolic links inside are followed, and those that leave tell nothing of what is there',
    async (t) => {
      const run = poolOf(t, docsDir)

      const graph = (await run('build_graph')) as GraphResult
      const { broken, outside } = (await run('check_links')) as LinksResult

      t.same(graph.edges, [{ source: 'sub/deep.md', target: 'real.md', count: 1 }])
      t.same(
        outside.map(({ url }) => url),
        ['leave.md', 'leave/secret.md', 'leave/none.md', '%2e%2e/outside/secret.md', '/../outside/secret.md'],
      )
      t.same(
        broken.map(({ url }) => url),
        ['.hidden/none.md', 'again/sub/deep.md', 'same.md'],
        'those of sub/deep.md start from its own folder',
      )
    },
  )

  await t.test('no parameter reads a path outside', async (t) => {
    const run = poolOf(t, docsDir)

    const paths = [
      '../outside/secret.md',
      join(outer, 'outside/secret.md'),
      'leave.md',
      'leave/secret.md',
      'sub/leave-up.md',
      'real.md\0',
    ]
    for (const document of [
      ...paths,
      '../../../../etc/passwd',
      '/etc/passwd',
      'passwd.md',
      '%2e%2e/outside/secret.md',
      '.hidden/hidden.md',
    ]) {
      await t.rejects(
        run('extract_keywords', { document }),
        { code: 'BACKEND_INVALID_PARAMETER', field: 'document' },
        JSON.stringify(document),
      )
      t.notMatch(JSON.stringify(await run('search', { query: document })), /topsecret/i)
    }
    t.same(await run('search', { query: 'topsecret' }), { total: 0, results: [] })
    t.notMatch(JSON.stringify(await runAll(run)), /topsecret|root:/i)
  })
})

t.test('a folder that is not there is one clear error', async (t) => {
  const run = poolOf(t, join(t.testdir(), 'none'))

  await t.rejects(run('build_graph'), {
    code: 'BACKEND_DOCS_UNREADABLE',
    message: /Expected the documents folder .*none: ENOENT/,
  })
})

t.test('the fingerprint and the answers follow the documents', async (t) => {
  const docsDir = t.testdir({ 'a.md': '# First\n', sub: { 'b.md': '[image](../image.png)\n' } })
  const pool = createToolPool({ docsDir })
  t.teardown(() => pool.close())
  const titles = async (): Promise<string[]> =>
    ((await pool.run('build_graph')) as GraphResult).nodes.map(({ title }) => title)

  const before = await pool.fingerprint()
  t.equal(await pool.fingerprint(), before, 'it stays while nothing changes')
  t.same(await titles(), ['First', 'sub/b.md'])

  writeFileSync(join(docsDir, 'a.md'), '# Changed\n')
  const changed = await pool.fingerprint()
  t.not(changed, before)
  t.same(await titles(), ['Changed', 'sub/b.md'])

  t.equal(((await pool.run('check_links')) as LinksResult).totals.broken, 1)
  writeFileSync(join(docsDir, 'image.png'), '')
  t.not(await fingerprintCorpus(docsDir), changed, 'links may lead to files that are no documents')
  t.equal(((await pool.run('check_links')) as LinksResult).totals.broken, 0)
})

t.test('aborting a run stops its thread, whatever it does', async (t) => {
  const docsDir = t.testdir({ 'small.md': '# Small\n' })
  for (let file = 0; file < 40; file++) writeFileSync(join(docsDir, `${file}.md`), distinctPassages(file, 700_000))
  const pool = createToolPool({ docsDir, maxThreads: 1 })
  t.teardown(() => pool.close())
  const running = new AbortController()
  const waiting = new AbortController()

  const run = pool.run('find_duplicates', {}, { signal: running.signal })
  const queued = pool.run('build_graph', {}, { signal: waiting.signal })
  run.catch(() => {})
  await sleep(1000)
  t.ok((await busyShare(500)) > 0.3, 'the thread computes')
  waiting.abort()
  await t.rejects(queued, { name: 'AbortError' })

  const aborted = performance.now()
  running.abort(new Error('the client left'))
  await t.rejects(run, { name: 'AbortError', cause: { message: 'the client left' } })
  t.ok(performance.now() - aborted < 500)
  // The run would go on for a minute; a new thread is busy for as long as it starts.
  const deadline = performance.now() + 15_000
  let share = await busyShare(500)
  while (share > 0.2 && performance.now() < deadline) share = await busyShare(500)
  t.ok(share <= 0.2, `${share.toFixed(2)} of a core is still busy`)

  for (let file = 0; file < 40; file++) rmSync(join(docsDir, `${file}.md`))
  t.match(await pool.run('build_graph'), { nodes: [{ id: 'small.md' }] }, 'a new thread takes the next run')
  await t.rejects(pool.run('build_graph', {}, { signal: AbortSignal.abort() }), { name: 'AbortError' })
})

t.test('closing the pool ends its threads and leaves nothing behind', async (t) => {
  const handles = (): string[] =>
    process.getActiveResourcesInfo().filter((name) => /MessagePort|Worker|Timeout/.test(name))
  const before = handles()
  const docsDir = t.testdir({ 'small.md': '# Small\n' })
  const pool = createToolPool({ docsDir, maxThreads: 2 })
  await pool.run('search', { query: 'small' })
  for (let file = 0; file < 10; file++) writeFileSync(join(docsDir, `${file}.md`), distinctPassages(file, 700_000))
  const running = pool.run('find_duplicates')
  const rejected = t.rejects(running)

  await pool.close()
  await rejected

  await t.rejects(pool.run('build_graph'), { code: 'BACKEND_POOL_CLOSED', statusCode: 503 })
  t.equal(pool.threads, 0)
  t.same(handles(), before)
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

type Run = (name: string, params?: unknown) => Promise<unknown>

function poolOf(t: Test, docsDir: string): Run {
  const pool: ToolPool = createToolPool({ docsDir, maxThreads: 1 })
  t.teardown(() => pool.close())
  return (name, params) => pool.run(name, params)
}

async function runAll(run: Run): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {}
  for (const name of tools.keys())
    results[name] = await run(name, name === 'search' ? { query: 'word licence text' } : {})
  return results
}

function markdownFilesOf(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.md')).sort()
}

/** The targets of inline links and images, found without a parser: code is cut out by hand, then `](target)` is searched for. */
function grepLinks(source: string): string[] {
  let isCode = false
  const prose = source.split('\n').filter((line) => {
    const isFence = /^\s*(?:> ?)?```/.test(line)
    if (isFence) isCode = !isCode
    return !isFence && !isCode
  })
  const text = prose.join('\n').replace(/`[^`]*`/g, '')
  return [...text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map(([, url]) => url!)
}

/** Text of which no two passages are alike, so that each has to be compared. */
function distinctPassages(seed: number, characters: number): string {
  let text = ''
  for (let passage = 0; text.length < characters; passage++) {
    for (let word = 0; word < 40; word++) text += `w${(seed * 7919 + passage * 104_729 + word * 1299) % 9973} `
    text += '\n\n'
  }
  return text
}

/** How much of one core this process uses during the next milliseconds. */
async function busyShare(durationMs: number): Promise<number> {
  const start = process.cpuUsage()
  await sleep(durationMs)
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000 / durationMs
}

/** Root may read everything; as nobody, permissions count. */
async function asNobody<Result>(task: () => Promise<Result>): Promise<Result> {
  if (process.getuid?.() !== 0) return task()
  process.seteuid!(65534)
  try {
    return await task()
  } finally {
    process.seteuid!(0)
  }
}
