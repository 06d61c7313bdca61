/**
 * What can be said of Markdown line by line, in linear time: where code is, where paragraphs end, and how long the parser would take.
 *
 * @module
 */

/** A run of lines that can be parsed on its own. */
export interface Section {
  text: string
  /** Line number of its first line in the document, from 1. */
  line: number
  /** Estimate of the time to parse it, see {@link splitSections}. */
  cost: number
}

/** What one line is: `fence` opens or closes a code block, `code` is inside one. */
export type LineKind = 'blank' | 'fence' | 'code' | 'text'

export interface Line {
  kind: LineKind
  /** The line cannot continue the paragraph before it. */
  startsBlock: boolean
  /** Block quotes and lists that the line opens or continues by a marker of its own. */
  depth: number
}

const FENCE = /^(`{3,}(?!.*`)|~{3,})/
// Characters at which the inline parser starts an attempt that may look at the rest of the paragraph.
const MARKERS = /[*_~[\]!<&`\\]/g
// Deeper nesting makes the parser recurse; a person stops at about 6.
const MAX_DEPTH = 50
const SECTION_CHARACTERS = 48 * 1024

/**
 * Reads lines one after another and says what each is. Follows CommonMark for fenced code inside lists and for lists that end a
 * paragraph; indented code counts as text.
 */
export function createLineReader(): (line: string) => Line {
  // Column at which the content of the innermost list item starts.
  let contentIndent = 0
  let fence: { marker: string; containerIndent: number } | undefined

  return function readLine(line: string): Line {
    const indent = indentOf(line)
    const isBlank = indent === line.length
    if (fence) {
      if (isBlank || indent >= fence.containerIndent) {
        const closes = line.startsWith(fence.marker, indent) && closesFence(line, indent, fence.marker[0]!)
        if (closes) fence = undefined
        return { kind: closes ? 'fence' : 'code', startsBlock: true, depth: 0 }
      }
      // The list item that held the code has ended, and the code with it.
      fence = undefined
    }
    if (isBlank) return { kind: 'blank', startsBlock: true, depth: 0 }

    // Four columns further in, a marker or a fence is only text.
    const mayStart = indent <= contentIndent + 3
    const opening = mayStart ? FENCE.exec(line.slice(indent, indent + 1000)) : null
    if (opening) {
      fence = { marker: opening[1]!, containerIndent: indent >= contentIndent ? contentIndent : 0 }
      return { kind: 'fence', startsBlock: true, depth: 0 }
    }
    const { depth, width, isList } = markersOf(line, indent)
    const startsBlock = mayStart && isList
    contentIndent = startsBlock ? indent + width : Math.min(contentIndent, indent)
    // A line of nothing but markers (`>`) ends the paragraph inside the quote.
    const isEmpty = depth > 0 && line.slice(indent + width).trim() === ''
    return { kind: isEmpty ? 'blank' : 'text', startsBlock: startsBlock || isEmpty, depth }
  }
}

/**
 * Cuts a document into sections at blank lines outside of code, and estimates what each costs to parse.
 *
 * The inline parser may look at the rest of the paragraph at each marker, so a paragraph of n characters with m markers costs up to
 * n × m steps; measured on `*a_`, `~a`, `[a](` and runs of backticks it makes 25 to 60 million such steps a second.
 * Nesting deeper than 50 costs `Infinity`. A section that never ends (code or a comment that is not closed) is one long section.
 */
export function splitSections(source: string): Section[] {
  const sections: Section[] = []
  const readLine = createLineReader()
  let start = 0
  let startLine = 1
  let cost = 0
  let characters = 0
  let markers = 0
  let inComment = false
  let afterBlank = false
  let lineNumber = 0
  for (let from = 0; from <= source.length; ) {
    const end = endOfLine(source, from)
    const line = source.slice(from, end)
    lineNumber++
    const { kind, startsBlock, depth } = readLine(line)

    const isSafe = afterBlank && !inComment && kind === 'text' && depth === 0 && !/^\s/.test(line)
    if (isSafe && from - start >= SECTION_CHARACTERS) push(from, lineNumber)
    if (startsBlock) endParagraph()
    if (kind === 'text') {
      characters += line.length
      markers += countMarkers(line)
      if (depth > MAX_DEPTH) cost = Number.POSITIVE_INFINITY
    }
    if (kind !== 'code' && kind !== 'fence') inComment = isCommentOpen(line, inComment)
    afterBlank = kind === 'blank'
    from = end + 1
  }
  push(source.length, lineNumber)
  return sections

  function endParagraph(): void {
    cost += characters * markers
    characters = 0
    markers = 0
  }

  function push(end: number, nextLine: number): void {
    endParagraph()
    sections.push({ text: source.slice(start, end), line: startLine, cost })
    start = end
    startLine = nextLine
    cost = 0
  }
}

/** Index of the line feed that ends the line at `from`, or the text's length. */
export function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end === -1 ? text.length : end
}

function indentOf(line: string): number {
  let indent = 0
  while (line[indent] === ' ' || line[indent] === '\t') indent++
  return indent
}

function closesFence(line: string, indent: number, character: string): boolean {
  let end = indent
  while (line[end] === character) end++
  return line.slice(end).trim() === ''
}

/** Counts the block quote and list markers that a line starts with. `width` spans them and the space behind. */
function markersOf(line: string, indent: number): { depth: number; width: number; isList: boolean } {
  const marker = /(?:>|[-+*](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$))[ \t]*/y
  let depth = 0
  let isList = false
  let end = indent
  for (marker.lastIndex = indent; depth <= MAX_DEPTH; depth++) {
    const match = marker.exec(line)
    if (!match) break
    if (depth === 0) isList = !match[0].startsWith('>')
    end = marker.lastIndex
  }
  return { depth, width: end - indent, isList }
}

function countMarkers(line: string): number {
  let count = 0
  MARKERS.lastIndex = 0
  while (MARKERS.exec(line)) count++
  return count
}

function isCommentOpen(line: string, wasOpen: boolean): boolean {
  const opened = line.lastIndexOf('<!--')
  const closed = line.lastIndexOf('-->')
  return opened === closed ? wasOpen : opened > closed
}
