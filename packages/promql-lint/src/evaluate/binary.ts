/**
 * Binary operators: arithmetic, comparisons and set operations.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { isCertain, isVector, keep, type Shape, scalar, union, withLabel, withoutMetric } from '../shape.ts'
import { COMPARISONS, childrenOf } from '../tree.ts'
import { type Context, reportBareCounter } from './context.ts'
import { checkMatching, type Matching, matchingOf } from './matching.ts'

const SET_OPERATORS = ['And', 'Or', 'Unless']

/** One side of an operator. */
interface Operand {
  node: SyntaxNode
  shape: Shape
}

/** Returns the shape of the result of an operator. `isRightOffset`: the right side alone is read with an offset. */
export function evaluateBinary(context: Context, node: SyntaxNode, isRightOffset = false): Shape {
  const parts = childrenOf(node)
  const [leftNode, rightNode] = [parts[0]!, parts.at(-1)!]
  const left = context.visit(leftNode)
  const right = { ...context.visit(rightNode), ...(isRightOffset ? { hasOffset: true } : {}) }
  const operator = parts[1]!.name
  const isComparison = COMPARISONS.includes(operator)
  if (isComparison) {
    checkThreshold(context, node, left, right)
    checkThreshold(context, node, right, left)
  }
  if (!SET_OPERATORS.includes(operator)) {
    checkCounters(context, operator, { node: leftNode, shape: left }, { node: rightNode, shape: right })
  }
  if (!isVector(left) && !isVector(right)) return scalar(calculate(operator, left.constant, right.constant))

  // A comparison that filters keeps the values of its vector; arithmetic and `bool` make other ones.
  const isFilter = isComparison && node.getChild('BoolModifier') === null
  if (!isVector(left) || !isVector(right)) return computed(isVector(left) ? left : right, isFilter)

  const matching = matchingOf(context, node)
  if (operator !== 'Or') checkMatching(context, node, matching, [left, right])
  if (operator === 'Or') return withoutMetric(union(left, right))
  // A series that was not there before has counted since: its value is an increase.
  if (operator === 'Unless' && left.kind === 'counter' && right.hasOffset) return computed(left, true)
  if (SET_OPERATORS.includes(operator)) return withoutMetric(left)
  return matched(matching, left, right, isFilter)
}

/** The shape of a value made from a vector. It is still a quantile if it was only filtered. */
function computed(input: Shape, isFilter: boolean): Shape {
  const { metric, quantileOf, buckets, ...shape } = input
  return { ...shape, kind: 'gauge', ...(isFilter && quantileOf ? { quantileOf } : {}) }
}

/** The shape of an operator between two vectors: the labels that are matched, or those of the side with many series. */
function matched(matching: Matching, left: Shape, right: Shape, isFilter: boolean): Shape {
  const { clause, isOn, isGroup, isGroupRight, included, isMatched } = matching
  const [many, one] = isGroupRight ? [right, left] : [left, right]
  const result = computed(many, isFilter)
  if (isGroup) {
    return included.reduce(
      (shape, label) => withLabel(shape, label, one.labels.get(label), isCertain(one, label)),
      result,
    )
  }
  return clause ? keep({ ...result, isOpen: result.isOpen && !isOn }, isMatched) : result
}

/** Reports a constant that a quantile cannot reach, or near which it is only interpolated. */
function checkThreshold({ report }: Context, node: SyntaxNode, { quantileOf }: Shape, { constant }: Shape): void {
  if (quantileOf === undefined || constant === undefined || constant === 0) return
  const largest = quantileOf.at(-1)!
  if (constant >= largest) {
    report(
      'threshold',
      node,
      `a quantile never exceeds the largest bucket boundary, ${largest}: ${constant} is out of reach`,
    )
  } else if (!quantileOf.includes(constant)) {
    const boundaries = quantileOf.join(' ')
    report(
      'threshold',
      node,
      `${constant} is not a bucket boundary, so the quantile is interpolated; boundaries: ${boundaries}`,
    )
  }
}

/** Reports counters that are used without a rate. */
function checkCounters(context: Context, operator: string, left: Operand, right: Operand): void {
  const sides = [left, right]
  const isCounter = ({ shape }: Operand) => shape.kind === 'counter'
  // The difference from an earlier value misses counter resets, but it is what the author asked for.
  const isComparedOverTime = sides.every(isCounter) && left.shape.hasOffset !== right.shape.hasOffset
  // `… or requests * 0` uses nothing but the labels.
  const isZeroed = operator === 'Mul' && sides.some(({ shape }) => shape.constant === 0)
  if (isComparedOverTime || isZeroed) return
  for (const { node, shape } of sides.filter(isCounter)) reportBareCounter(context, node, shape)
}

/** Returns the result of arithmetic on two constants; `undefined` where one is not known. */
function calculate(operator: string, left?: number, right?: number): number | undefined {
  if (left === undefined || right === undefined) return undefined
  // Rounded, so that 0.1 * 3 equals the boundary 0.3.
  const round = (value: number) => Number(value.toPrecision(12))
  if (operator === 'Add') return round(left + right)
  if (operator === 'Sub') return round(left - right)
  if (operator === 'Mul') return round(left * right)
  if (operator === 'Div') return round(left / right)
  return undefined
}
