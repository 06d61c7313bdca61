import t from 'tap'
import type { GraphResult } from '../../dist/knowledge/tools/build-graph.js'
import type { LinksResult } from '../../dist/knowledge/tools/check-links.js'
import { folderOfLinks, poolOf } from './helpers.ts'

t.test(
  'links through symbolic links inside are followed, and those that leave tell nothing of what is there',
  async (t) => {
    const { docsDir } = folderOfLinks(t)
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
