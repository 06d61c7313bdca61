/**
 * Evaluates the shape of a PromQL expression, from the leaves of its syntax tree to the root, and collects problems.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { evaluateAggregation } from './evaluate/aggregation.ts'
import { evaluateBinary } from './evaluate/binary.ts'
import type { Context } from './evaluate/context.ts'
import { evaluateFunction } from './evaluate/function.ts'
import { evaluateSelector } from './evaluate/selector.ts'
import type { Problem } from './problem.ts'
import { type Lookup, type Shape, scalar, single } from './shape.ts'
import { childrenOf, errorIn, rootOf, toNumber, unquote } from './tree.ts'

export interface Evaluation {
  shape: Shape
  problems: Problem[]
  /** The root of the syntax tree; `undefined` after a syntax error. */
  root?: SyntaxNode
}

/** Returns the shape of an expression and the problems in it. A wrong part has the shape of what is known of it. */
export function evaluate(expression: string, lookup: Lookup): Evaluation {
  const error = errorIn(expression)
  if (error) {
    const rest = expression.slice(error.from, Math.max(error.to, error.from + 20)).trim()
    const message = rest ? `syntax error at \`${rest}\`` : 'the expression ends too early'
    return failed({ ...single(), isOpen: true }, { rule: 'syntax', message, from: error.from })
  }
  const root = rootOf(expression)
  if (root === undefined) return failed(single(), { rule: 'syntax', message: 'the expression is empty', from: 0 })

  const problems: Problem[] = []
  const context: Context = {
    lookup,
    text: ({ from, to }) => expression.slice(from, to),
    visit: (node) => visit(context, node),
    report: (rule, { from }, message) => problems.push({ rule, message, from }),
  }
  return { shape: context.visit(root), problems, root }
}

function failed(shape: Shape, problem: Problem): Evaluation {
  return { shape, problems: [problem] }
}

function visit(context: Context, node: SyntaxNode): Shape {
  const { text } = context
  switch (node.name) {
    case 'VectorSelector':
      return evaluateSelector(context, node)
    case 'MatrixSelector':
    case 'SubqueryExpr':
    case 'ParenExpr':
    case 'StepInvariantExpr':
      return context.visit(childrenOf(node)[0]!)
    case 'OffsetExpr':
      return evaluateOffset(context, node)
    case 'UnaryExpr':
      return evaluateUnary(context, node)
    case 'AggregateExpr':
      return evaluateAggregation(context, node)
    case 'FunctionCall':
      return evaluateFunction(context, node)
    case 'BinaryExpr':
      return evaluateBinary(context, node)
    case 'StringLiteral':
      return { ...single(), kind: 'string', text: unquote(text(node)) }
    case 'NumberDurationLiteral':
      return scalar(toNumber(text(node)))
    default:
      return scalar()
  }
}

function evaluateOffset(context: Context, node: SyntaxNode): Shape {
  const inner = childrenOf(node)[0]!
  // The grammar parses `a - b offset 1d` as `(a - b) offset 1d`; in Prometheus the offset is of `b` alone.
  return inner.name === 'BinaryExpr'
    ? evaluateBinary(context, inner, true)
    : { ...context.visit(inner), hasOffset: true }
}

function evaluateUnary({ text, visit }: Context, node: SyntaxNode): Shape {
  const { constant, ...shape } = visit(childrenOf(node).at(-1)!)
  const sign = text(node).startsWith('-') ? -1 : 1
  return constant === undefined ? shape : { ...shape, constant: sign * constant }
}
