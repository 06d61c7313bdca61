import t from 'tap'
import { type Document, parseDocument } from '../../dist/knowledge/corpus/document.js'
import { HOSTILE_INPUTS } from '../fixtures/hostile.ts'

t.test('a long document says the same as its parts', async (t) => {
  const part = (index: number): string =>
    `## Part ${index}\n\nSee [there][target] and [here](#part-${index}).\n\n- item\n\n  \`\`\`js\n  // [no](link.md)\n\n# no heading\n  \`\`\`\n\n`
  const source = `${Array.from({ length: 1000 }, (_, index) => part(index).replace('# no heading', '  # no heading')).join('')}[target]: other.md\n`

  const document = parseDocument('long.md', source)

  t.ok(source.length > 2 * 48 * 1024)
  t.equal(document.headings.length, 1000)
  t.equal(document.blocks.filter(({ kind }) => kind === 'code').length, 1000)
  t.same(document.links.at(-2), { kind: 'link', url: 'other.md', line: 3 + 999 * 12 })
  t.equal(document.links.filter(({ url }) => url === 'other.md').length, 1000)
  t.equal(document.links.length, 2000)
})

t.test('links and anchors stand on their own lines, wherever a paragraph starts', async (t) => {
  const { links, anchors } = parse(
    'one [a](a.md)\ntwo `code\nspan` ![b](b.png)\nthree <a id="Here"></a> [c\nd](c.md) [e][ref]\n<a href="f.md">f</a>\n\n> - [g](<g h.md> "title")\n\n[ref]: e.md\n',
  )

  t.same(
    links.map(({ kind, url, line }) => `${kind} ${url} ${line}`),
    ['link a.md 1', 'image b.png 3', 'link c.md 4', 'link e.md 5', 'link f.md 6', 'link g h.md 8'],
  )
  t.ok(anchors.has('here'))
})

t.test('URLs are kept as written, with escapes and character references decoded', async (t) => {
  const { links } = parse('[a](%E0%A4%A) [b](a\\_b.md) [c](?a&amp;b) [d](javascript:x) [e](ä.md)')

  t.same(
    links.map(({ url }) => url),
    ['%E0%A4%A', 'a_b.md', '?a&b', 'javascript:x', 'ä.md'],
  )
})

t.test('autolinks are links as on GitHub', async (t) => {
  const { links } = parse(
    'See https://a.example/x_(y)). Or www.b.example, (http://c.example/?q), me@d.example. <https://e.example>\n\nNot npm@5.2.0, `https://f.example`, http://a_b.c or [https://g.example](g.md).',
  )

  t.same(
    links.map(({ url }) => url),
    [
      'https://a.example/x_(y)',
      'http://www.b.example',
      'http://c.example/?q',
      'mailto:me@d.example',
      'https://e.example',
      'g.md',
    ],
  )
})

t.test('tables, task lists, strikethrough and code become blocks of text', async (t) => {
  const { blocks } = parse(
    '| a | b |\n|---|---|\n| c `x\\|y` | [d](e) |\n\n- [ ] open\n- [x] done ~~not~~\n\n~~~js\ncode\n~~~\n\n    indented\n\n<div>html</div>\n',
  )

  t.same(
    blocks.map(({ kind, text, line }) => [kind, text, line]),
    [
      ['row', 'a b', 1],
      ['row', 'c x|y d', 3],
      ['paragraph', 'open', 5],
      ['paragraph', 'done not', 6],
      ['code', 'code', 8],
      ['code', 'indented', 12],
    ],
  )
})

t.test('a footnote is text where it is defined, and no link where it is used', async (t) => {
  const { blocks, links } = parse(
    'Text[^1] and [^none].\n\n[^1]: https://a.example\n[^two]: Second [b](b.md)\n\n    More of it.\n\nAfter.\n',
  )

  t.same(
    blocks.map(({ text, line }) => [text, line]),
    [
      ['Text and [^none].', 1],
      ['https://a.example', 3],
      ['Second b', 4],
      ['More of it.', 6],
      ['After.', 8],
    ],
  )
  t.same(
    links.map(({ url }) => url),
    ['https://a.example', 'b.md'],
  )
})

t.test('headings have the anchors that GitHub gives them, those in HTML too', async (t) => {
  const { headings, title, anchors } = parse(
    '<h1 align="center">Banner <b>x</b></h1>\n\nTitle & `code`\n===\n\n# Same\n\n# Same\n\n<!-- <a name="no"></a> -->\n<a name="Old"></a>\n',
  )

  t.same(
    headings.map(({ depth, slug, line }) => [depth, slug, line]),
    [
      [1, 'banner-x', 1],
      [1, 'title--code', 3],
      [1, 'same', 6],
      [1, 'same-1', 8],
    ],
  )
  t.equal(title, 'Title & code')
  t.ok(anchors.has('old') && !anchors.has('no'))
})

t.test('a document beyond the budget is refused', async (t) => {
  t.throws(() => parse('>'.repeat(101)), { message: 'nested deeper than 100 levels' })
  t.throws(() => parse(`a${'*'.repeat(2_000_001)}`), { message: 'more than 2000000 Markdown tokens' })
  t.doesNotThrow(() => parse(`${'>'.repeat(90)} text`))
})

t.test('inputs that are quadratic in other parsers are parsed or refused', { timeout: 300_000 }, async (t) => {
  for (const [name, make] of Object.entries(HOSTILE_INPUTS)) {
    const outcome = outcomeOf(make(16_000))
    t.ok(outcome === 'parsed' || outcome === 'nested deeper than 100 levels', `${name}: ${outcome}`)
  }
  t.equal(outcomeOf(HOSTILE_INPUTS['two-level list']!(100_000)), 'parsed')
})

function parse(source: string): Document {
  return parseDocument('document.md', source)
}

function outcomeOf(source: string): string {
  try {
    parse(source)
    return 'parsed'
  } catch (error) {
    return (error as Error).message
  }
}
