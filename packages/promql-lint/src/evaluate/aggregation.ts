/**
 * Aggregations: `sum by (job) (…)`.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { hasLabel, keep, type Shape, single, withLabel } from '../shape.ts'
import { childrenOf } from '../tree.ts'
import { type Context, labelsOf, listOf } from './context.ts'

/** Aggregations that count series: the value of a counter does not matter to them. */
const COUNTING = ['count', 'group', 'count_values']
/** Aggregations that select series and leave them as they are. */
const SELECTING = ['topk', 'bottomk', 'limitk', 'limit_ratio']

/** Returns the shape after an aggregation. */
export function evaluateAggregation(context: Context, node: SyntaxNode): Shape {
  const { report, text, visit } = context
  const operation = text(node.getChild('AggregateOp')!)
  const args = childrenOf(node.getChild('FunctionCallBody')).map(visit)
  const input = args.at(-1) ?? single()
  const modifier = node.getChild('AggregateModifier')
  const grouping = labelsOf(context, modifier?.getChild('GroupingLabels'))
  for (const label of grouping) {
    if (hasLabel(input, label)) continue
    report('grouping', modifier!, `${text(modifier!)}: no label ${label}; labels: ${listOf(input.labels.keys())}`)
  }
  const { metric, isShared, ...rest } = input
  if (SELECTING.includes(operation)) return rest

  const isBy = modifier?.getChild('By') != null
  const isKept = (label: string) => (modifier ? grouping.includes(label) === isBy : false)
  if (['sum', 'avg'].includes(operation) && isShared && !isKept('instance')) {
    report('aggregation', node, `${operation} of ${metric ?? 'a value'}, which is the same in every process: use max`)
  }
  const output: Shape = {
    ...keep(rest, isKept),
    kind: COUNTING.includes(operation) ? 'gauge' : input.kind,
    isOpen: input.isOpen && modifier !== null && !isBy,
  }
  if (input.isOpen && isBy) return grouping.reduce((shape, label) => withLabel(shape, label, undefined), output)
  if (operation === 'count_values') return withLabel(output, args[0]?.text ?? '', undefined)
  return output
}
