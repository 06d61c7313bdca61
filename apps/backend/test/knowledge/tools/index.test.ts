import t from 'tap'
import { loadCorpus } from '../../../dist/knowledge/corpus/corpus.js'
import { parseParameters, tools } from '../../../dist/knowledge/tools/index.js'
import { poolOf, SMALL } from '../helpers.ts'

t.test('a wrong parameter is refused with its name, and an unknown tool as such', async (t) => {
  const run = poolOf(t, SMALL)
  const wrong = (field: string) => ({ code: 'INVALID_PARAMETER', statusCode: 400, field })

  await t.rejects(run('search'), wrong('query'))
  await t.rejects(run('search', { query: '' }), wrong('query'))
  await t.rejects(run('search', { query: 'a', limit: 0 }), wrong('limit'))
  await t.rejects(run('search', { query: 'a', limit: '5' }), wrong('limit'))
  await t.rejects(run('find_duplicates', { threshold: 1.1 }), wrong('threshold'))
  await t.rejects(run('build_graph', { colour: 'red' }), wrong('colour'))
  await t.rejects(run('build_graph', []), wrong(''))
  await t.rejects(run('extract_keywords', { document: 'none.md' }), wrong('document'))
  await t.rejects(run('make_coffee'), { code: 'UNKNOWN_TOOL', statusCode: 404 })
  await t.rejects(run('__proto__'), { code: 'UNKNOWN_TOOL' })
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
