import { posix } from 'node:path'
import t from 'tap'
import type { GraphResult } from '../../../dist/knowledge/tools/build-graph.js'
import { FASTIFY_DOCS, fastifySources, grepLinks, poolOf, SMALL } from '../helpers.ts'

t.test('build_graph answers nodes, edges, orphans and PageRank', async (t) => {
  const run = poolOf(t, SMALL)
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

t.test('build_graph agrees with a grep of the links', async (t) => {
  const run = poolOf(t, FASTIFY_DOCS)
  const sources = fastifySources()
  const first = (await run('build_graph')) as GraphResult
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
