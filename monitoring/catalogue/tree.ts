/**
 * Reading the syntax tree of PromQL.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'

/** The children that mean something. */
export function childrenOf(node: SyntaxNode | null): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (let child = node?.firstChild ?? null; child !== null; child = child.nextSibling) {
    if (child.name !== 'LineComment') children.push(child)
  }
  return children
}

/** The first child of one of these kinds. */
export function firstOf(node: SyntaxNode, ...names: string[]): SyntaxNode | undefined {
  return childrenOf(node).find(({ name }) => names.includes(name))
}

/** The first node of a kind, from a node downwards. */
export function findIn(node: SyntaxNode, name: string): SyntaxNode | undefined {
  if (node.name === name) return node
  for (const child of childrenOf(node)) {
    const found = findIn(child, name)
    if (found) return found
  }
  return undefined
}

/** Whether it is a range of samples, such as `up[5m]`. */
export function isRange(node: SyntaxNode): boolean {
  const inner = ['OffsetExpr', 'StepInvariantExpr', 'ParenExpr'].includes(node.name) ? node.firstChild : null
  return ['MatrixSelector', 'SubqueryExpr'].includes(node.name) || (inner !== null && isRange(inner))
}

/** Whether a text is a regular expression. */
export function isRegex(pattern: string): boolean {
  try {
    new RegExp(pattern)
    return true
  } catch {
    return false
  }
}

/** The text of a string literal; a name without quotes is its own text. */
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

/** A number literal, or the seconds of a duration. */
export function toNumber(literal: string): number {
  const parts = [...literal.matchAll(/(\d+)(ms|[smhdwy])/g)]
  if (parts.length > 0) return parts.reduce((sum, [, number, unit]) => sum + Number(number) * SECONDS_OF[unit!]!, 0)
  return Number(literal.replace(/inf/i, 'Infinity'))
}
