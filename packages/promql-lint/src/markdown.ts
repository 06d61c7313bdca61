/**
 * Finds the expressions in the `promql` code blocks of a Markdown document.
 *
 * @module
 */
import type { Source } from './source.ts'
import { isComplete } from './tree.ts'

/** The start of a line that continues the one before: an operator, or a keyword that stands inside an expression. */
const CONTINUATION =
  /^\s*([-+*/%^=!<>)\]},@[]|(and|or|unless|atan2|by|without|on|ignoring|group_left|group_right|offset|bool)\b)/

/**
 * Returns the expressions of a document. A block can hold several: a comment, an empty line or the next operand ends
 * one.
 */
export function sourcesOfMarkdown(file: string, text: string): Source[] {
  const sources: Source[] = []
  let isInside = false
  let current: Source | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*```/.test(line)) {
      isInside = !isInside && /^\s*```promql\b/.test(line)
      current = undefined
    } else if (/^\s*(#|$)/.test(line)) {
      current = undefined
    } else if (isInside && current && !isNext(current.expression, line)) {
      current.expression += `\n${line}`
    } else if (isInside) {
      current = { file, line: index + 1, expression: line, purpose: {} }
      sources.push(current)
    }
  }
  return sources
}

/** Returns whether a line starts the next expression. `sum` is complete, yet a line with `(` continues it. */
function isNext(before: string, line: string): boolean {
  if (CONTINUATION.test(line) || !isComplete(before)) return false
  return !/^\s*\(/.test(line) || !/\w$/.test(before)
}
