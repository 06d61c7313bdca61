/**
 * Reads the syntax tree of PromQL, as `@prometheus-io/lezer-promql` parses it.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'

/** The node types of operators that compare. */
export const COMPARISONS: readonly string[] = ['Eql', 'Neq', 'Gtr', 'Lss', 'Gte', 'Lte']

/** Returns whether a string is a whole expression. */
export function isComplete(expression: string): boolean {
  return errorIn(expression) === undefined
}

/** Returns whether an expression compares anything. */
export function isComparison(expression: string): boolean {
  const { topNode } = parser.parse(expression)
  return COMPARISONS.some((name) => findIn(topNode, name) !== undefined)
}

/** Returns the position of the first syntax error, if there is one. */
export function errorIn(expression: string): { from: number; to: number } | undefined {
  let error: { from: number; to: number } | undefined
  parser.parse(expression).iterate({
    enter({ type, from, to }) {
      if (type.isError) error ??= { from, to }
    },
  })
  return error
}

/** Returns the root of an expression without syntax errors; `undefined` for an empty one. */
export function rootOf(expression: string): SyntaxNode | undefined {
  return childrenOf(parser.parse(expression).topNode)[0]
}

/** Returns the children of a node, without comments. */
export function childrenOf(node: SyntaxNode | null): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (let child = node?.firstChild ?? null; child !== null; child = child.nextSibling) {
    if (child.name !== 'LineComment') children.push(child)
  }
  return children
}

/** Returns the first child of one of these types. */
export function firstOf(node: SyntaxNode, ...names: string[]): SyntaxNode | undefined {
  return childrenOf(node).find(({ name }) => names.includes(name))
}

/** Returns the first node of a type among a node and its descendants. */
export function findIn(node: SyntaxNode, name: string): SyntaxNode | undefined {
  if (node.name === name) return node
  for (const child of childrenOf(node)) {
    const found = findIn(child, name)
    if (found) return found
  }
  return undefined
}

/** Returns whether a node is a range vector, such as `up[5m]`. */
export function isRange(node: SyntaxNode): boolean {
  const inner = ['OffsetExpr', 'StepInvariantExpr', 'ParenExpr'].includes(node.name) ? node.firstChild : null
  return ['MatrixSelector', 'SubqueryExpr'].includes(node.name) || (inner !== null && isRange(inner))
}

/** Returns whether a string is a regular expression. JavaScript's dialect stands in for RE2. */
export function isRegex(pattern: string): boolean {
  try {
    new RegExp(pattern)
    return true
  } catch {
    return false
  }
}

/** Returns the content of a string literal; a name without quotes is returned as it is. */
export function unquote(literal: string): string {
  if (literal.startsWith('`')) return literal.slice(1, -1)
  if (!/^["']/.test(literal)) return literal
  return literal
    .slice(1, -1)
    .replace(/\\(.)/g, (_, character: string) => ({ n: '\n', t: '\t' })[character] ?? character)
}

const SECONDS_OF: Readonly<Record<string, number>> = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
}

/** Returns the value of a number literal, or a duration in seconds. */
export function toNumber(literal: string): number {
  const parts = [...literal.matchAll(/(\d+)(ms|[smhdwy])/g)]
  // The grammar makes the sign part of the literal.
  const sign = literal.startsWith('-') ? -1 : 1
  if (parts.length > 0)
    return parts.reduce((sum, [, number, unit]) => sum + sign * Number(number) * SECONDS_OF[unit!]!, 0)
  return Number(literal.replace(/inf/i, 'Infinity'))
}
