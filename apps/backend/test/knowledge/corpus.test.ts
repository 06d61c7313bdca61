import { copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadCorpus } from '../../dist/knowledge/corpus/corpus.js'
import type { GraphResult } from '../../dist/knowledge/tools/build-graph.js'
import type { LinksResult } from '../../dist/knowledge/tools/check-links.js'
import type { StatsResult } from '../../dist/knowledge/tools/document-stats.js'
import type { DuplicatesResult } from '../../dist/knowledge/tools/find-duplicates.js'
import { asNobody, folderOfLinks, poolOf, runAll } from './helpers.ts'

t.test('more than a hundred READMEs of other people are taken as they are', async (t) => {
  const docsDir = t.testdir()
  const packages = fileURLToPath(new URL('../../../../node_modules/.pnpm', import.meta.url))
  const readmes = readdirSync(packages)
    .flatMap((name) => [join(packages, name, 'node_modules', name.split('@')[0]!, 'README.md')])
    .filter((path) => existsSync(path))
    .slice(0, 120)
  for (const [position, path] of readmes.entries()) copyFileSync(path, join(docsDir, `${position}.md`))
  const run = poolOf(t, docsDir)

  t.ok(readmes.length >= 100, `${readmes.length} READMEs`)
  const results = await runAll(run)
  t.equal((results.build_graph as GraphResult).nodes.length, readmes.length)
  t.ok((results.check_links as LinksResult).totals.links > 500)
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
    'prose.md': megabytes('Some [link](./nowhere.md) and *text* in `code` here.\n\n', 0.5),
    'one-line.md': megabytes('word ', 2),
    'brackets.md': megabytes('[', 0.2),
    'stars.md': megabytes('***', 1),
    'many-stars.md': `a${megabytes('***')}`,
    'quotes.md': megabytes('>'),
    'short-quotes.md': '>'.repeat(20_000),
    'emphasis.md': '*a_'.repeat(20_000),
    'strikes.md': '~a'.repeat(30_000),
    'links.md': '[a]('.repeat(30_000),
    'ticks.md': Array.from({ length: 1000 }, (_, index) => '`'.repeat(index)).join('a'),
    'nested-list.md': Array.from({ length: 700 }, (_, index) => `${' '.repeat(index * 2)}- a`).join('\n'),
    'headings.md': megabytes('# h\n', 0.1),
    'definitions.md': Array.from({ length: 20_000 }, (_, index) => `[l${index}]: u${index}\n\n[l${index}]`).join('\n'),
    'open-fence.md': `\`\`\`\n${megabytes('a [b](c)\n', 1)}`,
    'open-comment.md': `<!--\n${megabytes('a [b](c)\n\n', 1)}`,
    'too-large.md': Buffer.alloc(17 * 1024 * 1024, 'a'),
  })
  const run = poolOf(t, docsDir)

  const results = await runAll(run)

  const stats = results.document_stats as StatsResult
  const titles = new Map(stats.documents.map(({ document, title }) => [document, title]))
  t.equal(titles.get('broken-utf8.md'), '\uFFFD\uFFFDA\uFFFD(')
  t.equal(titles.get('byte-order-mark.md'), 'After the mark')
  t.equal(titles.get('empty.md'), 'empty.md')
  t.equal(titles.get('front-matter.markdown'), 'From above')
  t.same(stats.skipped, [
    { path: 'many-stars.md', reason: 'more than 2000000 Markdown tokens' },
    { path: 'nested-list.md', reason: 'nested deeper than 100 levels' },
    { path: 'quotes.md', reason: 'nested deeper than 100 levels' },
    { path: 'short-quotes.md', reason: 'nested deeper than 100 levels' },
    { path: 'too-large.md', reason: 'larger than 16777216 bytes' },
  ])
  const links = new Map(stats.documents.map(({ document, links }) => [document, links]))
  t.ok(links.get('prose.md')! > 9_000, 'half a megabyte of prose is parsed whole')
  t.equal(links.get('open-fence.md'), 0, 'what a fence opens stays code')
})

t.test('a document counts once, and what leads out of the folder is left out', async (t) => {
  const { docsDir } = folderOfLinks(t)
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

t.test('no parameter reads a path outside', async (t) => {
  const { docsDir, outer } = folderOfLinks(t)
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
      { code: 'INVALID_PARAMETER', field: 'document' },
      JSON.stringify(document),
    )
    t.notMatch(JSON.stringify(await run('search', { query: document })), /topsecret/i)
  }
  t.same(await run('search', { query: 'topsecret' }), { total: 0, results: [] })
  t.notMatch(JSON.stringify(await runAll(run)), /topsecret|root:/i)
})

t.test('a folder that is not there is one clear error', async (t) => {
  const run = poolOf(t, join(t.testdir(), 'none'))

  await t.rejects(run('build_graph'), {
    code: 'DOCS_UNREADABLE',
    message: /Expected the documents folder .*none: ENOENT/,
  })
})

t.test('a folder that has not changed is neither read nor parsed again', async (t) => {
  const docsDir = t.testdir({ 'a.md': '# First\n' })
  const first = await loadCorpus(docsDir)

  t.equal(await loadCorpus(docsDir, { latest: first }), first)
  const run = poolOf(t, docsDir)
  t.same(await run('build_graph'), await run('build_graph'))

  writeFileSync(join(docsDir, 'b.md'), '# Second\n')
  t.not(await loadCorpus(docsDir, { latest: first }), first)
})
