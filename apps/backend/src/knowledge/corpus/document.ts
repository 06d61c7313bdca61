/**
 * One Markdown document, parsed into what the tools need: headings, anchors, links and blocks of text.
 *
 * @module
 */
import GithubSlugger from 'github-slugger'
import type { Nodes, Root } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'
import { createLineReader, endOfLine, type Section, splitSections } from './lines.ts'

/** A parsed document. */
export interface Document {
  /** POSIX path relative to the corpus folder. */
  id: string
  /** The first Markdown heading, else the front matter's `title`, else the id. */
  title: string
  /** Size of the file. */
  bytes: number
  headings: Heading[]
  /** What `#fragment` may name: the slugs of the headings and explicit `id` and `name` attributes, in lower case. */
  anchors: Set<string>
  /** Links and images in the order in which they stand. */
  links: Link[]
  /** The text, block by block, in the order in which it stands. */
  blocks: Block[]
  /** Why some of the document was read line by line instead of parsed, or left out; absent when all of it was parsed. */
  simplified?: string
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
  /** As written, character references and escapes decoded. */
  url: string
  line: number
}

/** A stretch of text. A list item and a quote are the paragraphs in them; each row of a table is a block. */
export interface Block {
  kind: 'heading' | 'paragraph' | 'row' | 'code'
  text: string
  line: number
}

interface Reader {
  document: Document
  slugger: GithubSlugger
  definitions: Map<string, string>
}

// A document beyond it is read line by line: the parser takes about 3 seconds for a megabyte.
const MAX_PARSED_CHARACTERS = 1024 * 1024
// A paragraph of one letter costs the parser as much as one of a hundred.
const MAX_PARSED_LINES = 50_000
// A section grows beyond the 48 KiB at which it may be cut only within a list, code or HTML block that goes on.
const MAX_SECTION_CHARACTERS = 256 * 1024
// About one second and four seconds, see `splitSections`.
const MAX_SECTION_COST = 4e7
const MAX_DOCUMENT_COST = 1e8
// Headings, links and blocks beyond it, each, are left out: a megabyte of `#` lines would be a gigabyte of objects.
const MAX_LISTED = 200_000
const MAX_HEADING_CHARACTERS = 1000

const parserOptions = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] }

/**
 * Parses CommonMark with GitHub's extensions. Never throws, and takes time in proportion to the text: what would cost the parser
 * more (deep nesting, thousands of markers in one paragraph, huge documents) is read line by line, see {@link Document.simplified}.
 */
export function parseDocument(id: string, content: string, bytes: number = Buffer.byteLength(content)): Document {
  const { source, title } = takeFrontMatter(content.replace(/\r\n?/g, '\n'))
  const document: Document = { id, title: '', bytes, headings: [], anchors: new Set(), links: [], blocks: [] }
  const sections = splitSections(source)
  const definitions = sections.length > 1 ? findDefinitions(source) : new Map<string, string>()
  const reader: Reader = { document, slugger: new GithubSlugger(), definitions }

  const lines = countLines(source)
  let cost = 0
  for (const section of sections) {
    cost += section.cost > MAX_SECTION_COST ? 0 : section.cost
    const reason = whyNotParsed(source, lines, section, cost)
    const tree = reason === undefined ? parse(section, definitions) : undefined
    if (!tree || !readTree(reader, tree, section)) {
      document.simplified ??= reason ?? 'the parser failed'
      readLines(reader, section)
    }
  }
  const heading = document.blocks.find((block) => block.kind === 'heading' && block.text.trim() !== '')
  document.title = heading?.text ?? title ?? id
  return document
}

function whyNotParsed(source: string, lines: number, section: Section, documentCost: number): string | undefined {
  if (source.length > MAX_PARSED_CHARACTERS) return `longer than ${MAX_PARSED_CHARACTERS} characters`
  if (lines > MAX_PARSED_LINES) return `more than ${MAX_PARSED_LINES} lines`
  if (section.text.length > MAX_SECTION_CHARACTERS) return `a block longer than ${MAX_SECTION_CHARACTERS} characters`
  if (section.cost === Number.POSITIVE_INFINITY) return 'nested too deeply'
  if (section.cost > MAX_SECTION_COST || documentCost > MAX_DOCUMENT_COST) return 'too many markers in one paragraph'
  return undefined
}

function countLines(source: string): number {
  let count = 1
  for (let end = endOfLine(source, 0); end < source.length; end = endOfLine(source, end + 1)) count++
  return count
}

/** Blanks YAML front matter, which CommonMark would read as a heading. Line numbers stay. */
function takeFrontMatter(source: string): { source: string; title: string | undefined } {
  const match = /^---[ \t]*\n(?=[\w-]+[ \t]*:|#)([\s\S]*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)/.exec(
    source.slice(0, 64 * 1024),
  )
  if (!match) return { source, title: undefined }
  const title = /^title[ \t]*:[ \t]*(["']?)(.+?)\1[ \t]*$/m.exec(match[1]!)?.[2]
  return { source: match[0].replace(/[^\n]+/g, '') + source.slice(match[0].length), title }
}

/** Finds reference definitions (`[label]: url`), which hold for the whole document, in a document of several sections. */
function findDefinitions(source: string): Map<string, string> {
  const definitions = new Map<string, string>()
  const pattern =
    /^ {0,3}\[(?!\^)((?:[^[\]\\\n]|\\.){1,999})\]:[ \t]*\n?[ \t]*(?:<([^<>\n]{0,2000})>|([^\s<]\S{0,2000}))/gm
  for (const [, label, bracketed, bare] of source.matchAll(pattern)) {
    const key = normalizeLabel(label!)
    if (!definitions.has(key)) definitions.set(key, bracketed ?? bare!)
  }
  return definitions
}

function normalizeLabel(label: string): string {
  return label.trim().replace(/\s+/g, ' ').toLowerCase()
}

/** Parses one section with the definitions that it refers to, `undefined` when the parser throws (its recursion has no bound). */
function parse(section: Section, definitions: Map<string, string>): Root | undefined {
  let { text } = section
  if (definitions.size > 0) {
    const labels = new Set([...text.matchAll(/\[([^[\]]{1,999})\]/g)].map(([, label]) => normalizeLabel(label!)))
    for (const label of labels) {
      const url = definitions.get(label)
      if (url !== undefined) text += `\n\n[${label}]: <${url}>`
    }
  }
  try {
    return fromMarkdown(text, parserOptions)
  } catch {
    return undefined
  }
}

/** Reads a tree into the document; false, and nothing read, when the tree is too deep to be walked. */
function readTree(reader: Reader, tree: Root, section: Section): boolean {
  const { document, slugger } = reader
  const urls = new Map<string, string>()
  const events: Array<() => void> = []
  try {
    visit(tree)
  } catch {
    return false
  }
  for (const event of events) event()
  return true

  function visit(node: Nodes): void {
    const line = section.line - 1 + (node.position?.start.line ?? 1)
    // Lines behind the section are the definitions added for it.
    if (node.type === 'definition' && !urls.has(node.identifier)) urls.set(node.identifier, node.url)
    if (node.type === 'heading') {
      const text = textOf(node)
      events.push(() => addHeading(document, slugger, { depth: node.depth, text, line }, true))
    } else if (node.type === 'paragraph' || node.type === 'tableRow') {
      const text = textOf(node)
      events.push(() => addBlock(document, node.type === 'tableRow' ? 'row' : 'paragraph', text, line))
    } else if (node.type === 'code') {
      events.push(() => addBlock(document, 'code', node.value, line))
    } else if (node.type === 'link' || node.type === 'image') {
      events.push(() => addLink(document, node.type, node.url, line))
    } else if (node.type === 'linkReference' || node.type === 'imageReference') {
      const kind = node.type === 'linkReference' ? 'link' : 'image'
      events.push(() => addLink(document, kind, urls.get(node.identifier) ?? '', line))
    } else if (node.type === 'html') {
      events.push(() => readHtml(document, slugger, node.value, line))
    }
    if ('children' in node) for (const child of node.children) visit(child)
  }
}

/** The text that a reader sees; images and HTML have none. Table cells are parted by a space. */
function textOf(node: Nodes): string {
  if (node.type === 'text' || node.type === 'inlineCode') return node.value
  if (node.type === 'break') return '\n'
  if (!('children' in node)) return ''
  return node.children.map(textOf).join(node.type === 'tableRow' ? ' ' : '')
}

function addBlock(document: Document, kind: Block['kind'], text: string, line: number): void {
  if (text.trim() !== '' && hasRoom(document, document.blocks)) document.blocks.push({ kind, text, line })
}

function addLink(document: Document, kind: Link['kind'], url: string, line: number): void {
  if (hasRoom(document, document.links)) document.links.push({ kind, url, line })
}

function hasRoom(document: Document, list: unknown[]): boolean {
  if (list.length < MAX_LISTED) return true
  document.simplified = `more than ${MAX_LISTED} headings, links or blocks, the rest is left out`
  return false
}

/** HTML headings have an anchor on GitHub as well; they are often a banner, the same on each page, and so no block of text. */
function addHeading(
  document: Document,
  slugger: GithubSlugger,
  heading: Omit<Heading, 'slug'>,
  isBlock: boolean,
): void {
  if (!hasRoom(document, document.headings)) return
  const slug = slugger.slug(heading.text)
  document.headings.push({ ...heading, slug })
  document.anchors.add(slug.toLowerCase())
  if (isBlock) addBlock(document, 'heading', heading.text, heading.line)
}

/** Reads anchors, links and headings out of raw HTML. Each quantifier is bounded, so that the time is in proportion to the text. */
function readHtml(document: Document, slugger: GithubSlugger, html: string, line: number): void {
  const visible = removeComments(html)
  for (const match of visible.matchAll(/<h([1-6])(?:\s[^<>]{0,500})?>([\s\S]{0,1000}?)<\/h\1\s*>/gi)) {
    const text = match[2]!.replace(/<[^<>]{0,2000}>/g, '').trim()
    addHeading(document, slugger, { depth: Number(match[1]), text, line }, false)
  }
  for (const [, name, attributes] of visible.matchAll(/<([a-z][a-z0-9]*)\s([^<>]{0,2000})>/gi)) {
    for (const match of attributes!.matchAll(
      /(?<![\w-])(id|name|href|src)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi,
    )) {
      const value = match[2] ?? match[3] ?? match[4] ?? ''
      const attribute = `${name} ${match[1]}`.toLowerCase()
      if (attribute === 'a name' || attribute.endsWith(' id')) document.anchors.add(value.toLowerCase())
      else if (attribute === 'a href') addLink(document, 'link', value, line)
      else if (attribute === 'img src') addLink(document, 'image', value, line)
    }
  }
}

function removeComments(html: string): string {
  let visible = ''
  let from = 0
  for (;;) {
    const start = html.indexOf('<!--', from)
    if (start === -1) return visible + html.slice(from)
    visible += html.slice(from, start)
    const end = html.indexOf('-->', start + 4)
    if (end === -1) return visible
    from = end + 3
  }
}

/**
 * Reads a section line by line, in linear time: fenced code, `#` headings, paragraphs, table rows, inline links and images,
 * references, HTML anchors. Left out: autolinks, underlined headings, a link around an image.
 */
function readLines(reader: Reader, section: Section): void {
  const { document, slugger, definitions } = reader
  const readLine = createLineReader()
  let block: { kind: Block['kind']; lines: string[]; line: number } | undefined
  let lineNumber = section.line
  for (let from = 0; from < section.text.length; lineNumber++) {
    const end = endOfLine(section.text, from)
    const line = section.text.slice(from, end)
    from = end + 1
    const { kind, startsBlock } = readLine(line)
    if (kind === 'code') {
      append('code', line)
      continue
    }
    if (startsBlock) flush()
    if (kind !== 'text') continue
    const heading = line.length <= MAX_HEADING_CHARACTERS && /^ {0,3}(#{1,6})(?=[ \t])/.exec(line)
    readInlineLinks(document, definitions, line, lineNumber)
    if (heading) {
      flush()
      const content = line
        .slice(heading[0].length)
        .trim()
        .replace(/(?<=^|[ \t])#+$/, '')
        .trim()
      const text = content.replace(/!?\[([^[\]]*)\](?:\([^()]*\)|\[[^[\]]*\])?/g, '$1').replace(/[`*]/g, '')
      addHeading(document, slugger, { depth: heading[1]!.length, text, line: lineNumber }, true)
    } else if (/^\s*\|/.test(line)) {
      flush()
      append('row', line)
      flush()
    } else append('paragraph', line)
  }
  flush()

  function append(kind: Block['kind'], line: string): void {
    if (block?.kind !== kind) flush()
    block ??= { kind, lines: [], line: lineNumber }
    block.lines.push(line)
  }

  function flush(): void {
    if (block) addBlock(document, block.kind, block.lines.join('\n'), block.line)
    block = undefined
  }
}

function readInlineLinks(document: Document, definitions: Map<string, string>, line: string, lineNumber: number): void {
  const visible = line.replace(/`[^`]+`/g, '')
  const inline =
    /(?<!\\)(!?)\[(?:[^[\]\\]|\\.){0,300}\]\(\s{0,9}(?:<([^<>]{0,2000})>|([^\s()<>]{1,2000}(?:\([^\s()]{0,200}\)[^\s()<>]{0,200})?))(?:\s{1,9}(?:"[^"]{0,300}"|'[^']{0,300}'))?\s{0,9}\)/g
  for (const [, bang, bracketed, bare] of visible.matchAll(inline)) {
    addLink(document, bang ? 'image' : 'link', bracketed ?? bare ?? '', lineNumber)
  }
  if (definitions.size > 0 && !/^ {0,3}\[[^[\]]{1,300}\]:/.test(visible)) {
    for (const [, bang, text, label] of visible.matchAll(
      /(?<!\\)(!?)\[([^[\]]{1,300})\](?![(:])(?:\[([^[\]]{0,300})\])?/g,
    )) {
      const url = definitions.get(normalizeLabel(label || text!))
      if (url !== undefined) addLink(document, bang ? 'image' : 'link', url, lineNumber)
    }
  }
  for (const match of visible.matchAll(
    /<[a-z][a-z0-9]{0,20}\s[^<>]{0,300}?(?<![\w-])(?:id|name)\s{0,9}=\s{0,9}["']?([^"'\s<>]{1,300})/gi,
  )) {
    document.anchors.add(match[1]!.toLowerCase())
  }
}
