/**
 * Function calls: `rate(…)`, `histogram_quantile(0.9, …)`.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { hasLabel, isVector, keep, replaceLabel, type Shape, scalar, single, vector, withLabel } from '../shape.ts'
import { childrenOf, findIn, isRange, isRegex } from '../tree.ts'
import { type Context, reportBareCounter } from './context.ts'

/** Functions over a range that need a counter. */
const RATES = ['rate', 'irate', 'increase', 'resets']
/** Functions that look at the presence or the time of samples: the value of a counter does not matter to them. */
const SAMPLING = ['count_over_time', 'present_over_time', 'changes', 'ts_of_last_over_time', 'timestamp']
const SCALAR = ['time', 'pi', 'scalar']

/** Returns the shape of what a function returns. */
export function evaluateFunction(context: Context, node: SyntaxNode): Shape {
  const name = context.text(node.getChild('FunctionIdentifier')!)
  const nodes = childrenOf(node.getChild('FunctionCallBody'))
  const args = nodes.map(context.visit)
  const at = args.findIndex(isVector)
  const input = args[at]
  if (name === 'scalar' && input?.kind === 'counter') reportBareCounter(context, nodes[at]!, input)
  if (SCALAR.includes(name)) return scalar()
  if (name === 'vector' || input === undefined) return single()
  return evaluateVectorFunction(context, { node, name, input, inputNode: nodes[at]!, args: args.slice(at + 1) })
}

/** A call with a vector among its arguments. */
interface Call {
  node: SyntaxNode
  name: string
  /** The first vector. */
  input: Shape
  inputNode: SyntaxNode
  /** The arguments after it. */
  args: readonly Shape[]
}

function evaluateVectorFunction(context: Context, call: Call): Shape {
  const { node, name, input, inputNode, args } = call
  const { metric, constant, ...rest } = input
  if (RATES.includes(name)) {
    checkRate(context, call)
    return { ...rest, kind: 'gauge' }
  }
  if (name === 'absent' || name === 'absent_over_time') return evaluateAbsent(context, call)
  if (SAMPLING.includes(name)) return { ...rest, kind: 'gauge' }
  if (name === 'last_over_time') return input
  if (childrenOf(inputNode).length > 0 && isRange(inputNode) && input.kind === 'counter') {
    context.report('counter', node, `${name} of counter ${metric ?? context.text(inputNode)}: use rate or increase`)
    return { ...rest, kind: 'gauge' }
  }
  if (name === 'histogram_quantile' || name === 'histogram_fraction') return evaluateQuantile(context, call, rest)
  if (name === 'label_replace') return evaluateLabelReplace(context, call, rest)
  if (name === 'label_join') return withLabel(rest, args[0]?.text ?? '', undefined)
  return rest
}

function checkRate({ report, text }: Context, { name, input, inputNode }: Call): void {
  const subquery = findIn(inputNode, 'SubqueryExpr')
  if (input.kind !== 'counter' && !input.isOpen) {
    report('rate', inputNode, `${name} needs a counter, but ${input.metric ?? text(inputNode)} is a gauge`)
  } else if (subquery && findIn(subquery, 'AggregateExpr')) {
    report('rate', inputNode, `${name} cannot see counter resets after an aggregation: aggregate the ${name} instead`)
  }
}

/** `absent` returns the labels that its selector's matchers set to one value. */
function evaluateAbsent({ text }: Context, { input, inputNode }: Call): Shape {
  const isSet = (label: string) => new RegExp(`\\b${label}\\s*=\\s*["'\`]`).test(text(inputNode))
  return vector(
    'gauge',
    [...input.labels].filter(([label, values]) => values?.size === 1 && isSet(label)),
  )
}

function evaluateQuantile({ report }: Context, { node, name }: Call, input: Shape): Shape {
  if (!hasLabel(input, 'le')) report('quantile', node, `${name} needs the label le: keep it in the aggregation`)
  if (input.kind === 'counter') {
    report('counter', node, `${name} of raw bucket counts, which go back to the start of the process: use rate`)
  }
  const { buckets, ...shape } = keep(input, (label) => label !== 'le')
  const isQuantile = name === 'histogram_quantile' && buckets !== undefined
  return { ...shape, kind: 'gauge', ...(isQuantile ? { quantileOf: buckets } : {}) }
}

function evaluateLabelReplace({ report }: Context, { node, args }: Call, input: Shape): Shape {
  const [target = '', replacement = '', source = '', pattern = ''] = args.map((argument) => argument.text ?? '')
  // An empty source is allowed: it sets the target to a constant.
  if (source !== '' && !hasLabel(input, source)) {
    report('label', node, `label_replace reads the label ${source}, which does not exist`)
  }
  return isRegex(pattern) ? replaceLabel(input, [target, replacement, source, pattern]) : input
}
