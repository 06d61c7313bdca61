import t from 'tap'
import { sourcesOfMarkdown } from '../src/markdown.ts'

function expressionsOf(markdown: string): Array<[number, string]> {
  return sourcesOfMarkdown('example.md', markdown).map(({ line, expression }) => [line, expression])
}

t.test('the promql blocks of a document are read, and no other block', async (t) => {
  const markdown = 'Text\n```promql\n# First\nup\nsum by (job) (\n  nothing\n)\n```\n```sh\nup up\n```\n'
  t.same(expressionsOf(markdown), [
    [4, 'up'],
    [5, 'sum by (job) (\n  nothing\n)'],
  ])
})

t.test('a comment, an empty line or the next operand ends an expression', async (t) => {
  t.same(
    expressionsOf('```promql\na\nb\n\nc\n# d\ne\n```').map(([, expression]) => expression),
    ['a', 'b', 'c', 'e'],
  )
})

t.test('an operator, a keyword or an open aggregation continues an expression', async (t) => {
  for (const expression of ['a\n/\nb', 'a\nand on (job) b', 'sum\n(a)', 'sum(a)\nby (job)']) {
    t.same(expressionsOf(`\`\`\`promql\n${expression}\n\`\`\``), [[2, expression]])
  }
})
