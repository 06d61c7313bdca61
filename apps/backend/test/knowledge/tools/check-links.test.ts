import { existsSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import type { LinksResult } from '../../../dist/knowledge/tools/check-links.js'
import { FASTIFY_DOCS, fastifySources, grepLinks, poolOf, SMALL } from '../helpers.ts'

t.test('check_links names what leads nowhere, and only that', async (t) => {
  const run = poolOf(t, SMALL)
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

t.test('check_links names the files that are missing on disk', async (t) => {
  const run = poolOf(t, FASTIFY_DOCS)
  const sources = fastifySources()
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
