/**
 * The Markdown parser: markdown-it with GitHub's footnotes, and a budget on what one document may cost.
 *
 * markdown-it parses in time proportional to the text. Memory is bounded here: a document of nothing but `*` would
 * become one token per character.
 * See docs/decisions/0014-markdown-it.md.
 *
 * @module
 */
import createMarkdownIt, { type Env, type MarkdownIt, type StateBlock, type StateInline, type Token } from 'markdown-it'

export type { Token }

// A flood of emphasis markers that reaches it peaks at 1 GB (measured). 5 MB of prose have 1.4 million tokens.
const MAX_TOKENS = 2_000_000
// markdown-it silently drops what is nested deeper than its `maxNesting`, so such a document is refused instead.
const MAX_NESTING = 100
const FOOTNOTE_INDENT = 4
const FOOTNOTE_DEFINITION = /\[\^([^[\]\s]{1,999})\]:[ \t]*/y
const FOOTNOTE_REFERENCE = /\[\^([^[\]\s]{1,999})\]/y

/** State of one parse; markdown-it hands it to every rule. */
interface Environment {
  tokens: number
  footnotes: Set<string>
}

const parser = createParser()

/**
 * Parses a document into block tokens whose `map` holds the lines from 0, end exclusive. An inline token's `map` holds
 * its line relative to its block. Throws when the document exceeds the budget of tokens or of nesting.
 */
export function parseMarkdown(source: string): Token[] {
  const environment: Environment = { tokens: 0, footnotes: new Set() }
  return parser.parse(source, environment as unknown as Env)
}

function createParser(): MarkdownIt {
  const markdown = createMarkdownIt({ html: true, maxNesting: MAX_NESTING })
  // URLs are reported as written and never followed, so none is encoded and none refused.
  markdown.normalizeLink = (url) => url
  markdown.normalizeLinkText = (url) => url
  markdown.validateLink = () => true
  markdown.block.State = withBudget(markdown.block.State)
  markdown.inline.State = withLines(withBudget(markdown.inline.State))
  const alt = ['paragraph', 'reference', 'blockquote']
  markdown.block.ruler.before('reference', 'footnote_definition', readFootnoteDefinition, { alt })
  markdown.inline.ruler.before('link', 'footnote_reference', readFootnoteReference)
  return markdown
}

type StateClass = typeof StateBlock | typeof StateInline

/** Every token is made by `push` or `pushPending`; text is never pushed without a token around it. */
function withBudget<Class extends StateClass>(State: Class): Class {
  const Base = State as typeof StateBlock
  return class extends Base {
    override push(type: string, tag: string, nesting: -1 | 0 | 1): Token {
      const environment = this.env as unknown as Environment
      if (++environment.tokens > MAX_TOKENS) throw new Error(`more than ${MAX_TOKENS} Markdown tokens`)
      const token = super.push(type, tag, nesting)
      if (this.level >= MAX_NESTING && token.block) throw new Error(`nested deeper than ${MAX_NESTING} levels`)
      return token
    }
  } as unknown as Class
}

/** Inline tokens have no position of their own; rules run from left to right, so the lines are counted once. */
function withLines(State: typeof StateInline): typeof StateInline {
  return class extends State {
    #line = 0
    #counted = 0

    override push(type: string, tag: string, nesting: -1 | 0 | 1): Token {
      return this.#locate(super.push(type, tag, nesting))
    }

    override pushPending(): Token {
      return this.#locate(super.pushPending())
    }

    #locate(token: Token): Token {
      for (; this.#counted < this.pos; this.#counted++) if (this.src.charCodeAt(this.#counted) === 10) this.#line++
      token.map = [this.#line, this.#line + 1]
      return token
    }
  }
}

/** Reads `[^label]: text` as a container, whose further blocks are indented by four columns. */
function readFootnoteDefinition(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  if (state.sCount[startLine]! - state.blkIndent >= FOOTNOTE_INDENT) return false
  FOOTNOTE_DEFINITION.lastIndex = state.bMarks[startLine]! + state.tShift[startLine]!
  const match = FOOTNOTE_DEFINITION.exec(state.src)
  if (!match) return false
  if (silent) return true

  const environment = state.env as unknown as Environment
  environment.footnotes.add(match[1]!.toLowerCase())
  const { parentType } = state
  const [mark, shift, indent] = [state.bMarks[startLine]!, state.tShift[startLine]!, state.sCount[startLine]!]
  state.push('footnote_open', '', 1)
  state.blkIndent += FOOTNOTE_INDENT
  state.bMarks[startLine] = FOOTNOTE_DEFINITION.lastIndex
  state.tShift[startLine] = 0
  state.sCount[startLine] = state.blkIndent
  state.md.block.tokenize(state, startLine, endLine)
  state.bMarks[startLine] = mark
  state.tShift[startLine] = shift
  state.sCount[startLine] = indent
  state.blkIndent -= FOOTNOTE_INDENT
  state.parentType = parentType
  state.push('footnote_close', '', -1)
  // A definition without text is one line; `tokenize` skips it together with the blank lines behind.
  if (state.line <= startLine) state.line = startLine + 1
  return true
}

/** Reads `[^label]` where the label is defined. It shows a number, so it has no text. */
function readFootnoteReference(state: StateInline, silent: boolean): boolean {
  FOOTNOTE_REFERENCE.lastIndex = state.pos
  const match = FOOTNOTE_REFERENCE.exec(state.src)
  if (!match || FOOTNOTE_REFERENCE.lastIndex > state.posMax) return false
  if (!(state.env as unknown as Environment).footnotes.has(match[1]!.toLowerCase())) return false
  if (!silent) state.push('footnote_reference', '', 0)
  state.pos = FOOTNOTE_REFERENCE.lastIndex
  return true
}
