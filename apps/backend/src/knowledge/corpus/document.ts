/**
 * One Markdown document, reduced to what the tools need: headings, anchors, links and blocks of text.
 *
 * @module
 */
import GithubSlugger from 'github-slugger'
import { findAutolinks } from './autolink.ts'
import { readHtml } from './html.ts'
import { parseMarkdown, type Token } from './markdown.ts'

/** A parsed document. */
export interface Document {
  /** POSIX path relative to the corpus folder. */
  id: string
  /** The first Markdown heading, else the front matter's `title`, else the id. */
  title: string
  /** Size of the file. */
  bytes: number
  headings: Heading[]
  /**
   * The names that a `#fragment` may use: slugs of headings, and explicit `id` and `name` attributes, in lower case.
   */
  anchors: Set<string>
  /** Links and images in document order. */
  links: Link[]
  /** The text, block by block, in document order. */
  blocks: Block[]
}

export interface Heading {
  /** 1 to 6. */
  depth: number
  text: string
  /** The anchor that GitHub gives it. */
  slug: string
  line: number
}

/** A link or an image, references and HTML included. */
export interface Link {
  kind: 'link' | 'image'
  /** As written, with character references and escapes decoded. */
  url: string
  line: number
}

/** A block of text. List items and quotes are represented by the paragraphs in them; each table row is a block. */
export interface Block {
  kind: 'heading' | 'paragraph' | 'row' | 'code'
  text: string
  line: number
}

/**
 * Parses CommonMark with GitHub's extensions, in time proportional to the text. Throws when the document exceeds the
 * parser's budget of tokens or of nesting.
 */
export function parseDocument(id: string, content: string, bytes: number = Buffer.byteLength(content)): Document {
  const { source, title } = takeFrontMatter(content.replace(/\r\n?/g, '\n'))
  const document: Document = { id, title: '', bytes, headings: [], anchors: new Set(), links: [], blocks: [] }
  readBlocks(document, parseMarkdown(source))
  const heading = document.blocks.find((block) => block.kind === 'heading')
  document.title = heading?.text ?? title ?? id
  return document
}

/** Blanks YAML front matter, which CommonMark would read as a heading. Line numbers stay the same. */
function takeFrontMatter(source: string): { source: string; title: string | undefined } {
  const match = /^---[ \t]*\n(?=[\w-]+[ \t]*:|#)([\s\S]*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)/.exec(
    source.slice(0, 64 * 1024),
  )
  if (!match) return { source, title: undefined }
  const title = /^title[ \t]*:[ \t]*(["']?)(.+?)\1[ \t]*$/m.exec(match[1]!)?.[2]
  return { source: match[0].replace(/[^\n]+/g, '') + source.slice(match[0].length), title }
}

function readBlocks(document: Document, tokens: Token[]): void {
  const slugger = new GithubSlugger()
  let line = 1
  let cells: string[] = []
  for (const [index, token] of tokens.entries()) {
    const { type, content } = token
    if (token.map) line = token.map[0] + 1
    if (type === 'tr_open') cells = []
    else if (type === 'tr_close') addBlock('row', cells.join(' ').trimEnd())
    else if (type === 'fence' || type === 'code_block') addBlock('code', content.replace(/\n$/, ''))
    else if (type === 'html_block') addHtml(content, line)
    else if (type === 'inline') {
      const opening = tokens[index - 1]!
      const text = readInline(token.children ?? [])
      if (opening.type === 'heading_open') {
        addHeading(Number(opening.tag.slice(1)), text, line)
        addBlock('heading', text)
      } else if (opening.type !== 'paragraph_open') cells.push(text)
      else if (tokens[index - 2]?.type === 'list_item_open') addBlock('paragraph', text.replace(/^\[[ x]\]\s+/i, ''))
      else addBlock('paragraph', text)
    }
  }

  /** Returns the text that a reader sees, and collects the links. Images and HTML have no text. */
  function readInline(children: Token[]): string {
    let text = ''
    let linkDepth = 0
    for (const { type, content, nesting, map, ...token } of children) {
      const at = line + (map?.[0] ?? 0)
      if (type === 'softbreak' || type === 'hardbreak') text += '\n'
      else if (type === 'html_inline') addHtml(content, at)
      else if (type === 'image') document.links.push({ kind: 'image', url: urlOf(token, 'src'), line: at })
      else if (type === 'text' || type === 'code_inline') text += content
      if (type === 'link_open') document.links.push({ kind: 'link', url: urlOf(token, 'href'), line: at })
      if (type === 'link_open' || type === 'link_close') linkDepth += nesting
      if (type !== 'text' || linkDepth > 0) continue
      for (const url of findAutolinks(content)) document.links.push({ kind: 'link', url, line: at })
    }
    return text
  }

  function addBlock(kind: Block['kind'], text: string): void {
    if (text.trim() !== '') document.blocks.push({ kind, text, line })
  }

  function addHeading(depth: number, text: string, line: number): void {
    const slug = slugger.slug(text)
    document.headings.push({ depth, text, slug, line })
    document.anchors.add(slug.toLowerCase())
  }

  /**
   * HTML headings have an anchor on GitHub too. They are often a banner, the same on each page, so they are no text.
   */
  function addHtml(html: string, line: number): void {
    const { headings, anchors, links } = readHtml(html)
    for (const { depth, text } of headings) addHeading(depth, text, line)
    for (const anchor of anchors) document.anchors.add(anchor)
    for (const link of links) document.links.push({ ...link, line })
  }
}

function urlOf({ attrs }: Pick<Token, 'attrs'>, name: string): string {
  return String(attrs?.find(([attribute]) => attribute === name)?.[1] ?? '')
}
