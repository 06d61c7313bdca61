/**
 * What the evaluation of every type of node needs: the expression's text, its sub-expressions, and a place for
 * problems.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import type { RuleName } from '../problem.ts'
import type { Lookup, Shape } from '../shape.ts'
import { childrenOf, unquote } from '../tree.ts'

/** The evaluation of one expression. */
export interface Context {
  lookup: Lookup
  /** Returns the text of a node. */
  text(node: SyntaxNode): string
  /** Evaluates a sub-expression. */
  visit(node: SyntaxNode): Shape
  /** Adds a problem at the start of a node. */
  report(rule: RuleName, node: SyntaxNode, message: string): void
}

/** Returns the labels in a list such as `(job, instance)`. */
export function labelsOf({ text }: Context, list: SyntaxNode | null | undefined): string[] {
  return childrenOf(list ?? null).map((label) => unquote(text(label)))
}

/** Reports a counter that is used without a rate. */
export function reportBareCounter({ report, text }: Context, node: SyntaxNode, { metric }: Shape): void {
  report('counter', node, describeBareCounter(metric ?? text(node)))
}

/** Returns the message for a counter that is used without a rate. */
export function describeBareCounter(name: string): string {
  return `the raw value of counter ${name} depends on when its process started: use rate or increase`
}

/** Returns names for a message: sorted, at most twelve. */
export function listOf(names: Iterable<string>): string {
  const list = [...names].sort()
  if (list.length > 12) return `${list.slice(0, 12).join(', ')}, …`
  return list.join(', ') || 'none'
}
