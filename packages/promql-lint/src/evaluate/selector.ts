/**
 * Vector selectors: `http_requests_total{status=~"5.."}`.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import {
  hasLabel,
  isCertain,
  type Matcher,
  matches,
  narrow,
  type Shape,
  single,
  type Values,
  withLabel,
} from '../shape.ts'
import { childrenOf, firstOf, isRegex, unquote } from '../tree.ts'
import { type Context, listOf } from './context.ts'

/** The value of every label of the series that takes what exceeds a cardinality limit of `@data20/metrics-core`. */
const OVERFLOW = '__overflow__'

/** Returns the shape of a metric, narrowed by the matchers of the selector. */
export function evaluateSelector(context: Context, node: SyntaxNode): Shape {
  const { lookup, report, text } = context
  const matchers = matchersOf(context, node)
  const identifier = node.getChild('Identifier')
  const byName = matchers.find(({ label, operator }) => label === '__name__' && operator === '=')
  const name = identifier ? text(identifier) : byName?.value
  // A pattern of names, or labels alone, can select any metric.
  if (name === undefined) return { ...single(), isOpen: true }
  const shape = lookup(name)
  if (shape === undefined) {
    report('metric', node, `unknown metric ${name}`)
    return { ...single(), isOpen: true }
  }
  const narrowed = matchers
    .filter(({ label }) => label !== '__name__')
    .reduce((before, matcher) => applyMatcher(context, node, { name, before, matcher }), shape)
  return { ...narrowed, metric: name }
}

function applyMatcher(
  context: Context,
  node: SyntaxNode,
  { name, before, matcher }: { name: string; before: Shape; matcher: Matcher },
): Shape {
  const { label, operator } = matcher
  if (!hasLabel(before, label)) {
    context.report('label', node, `${name} has no label ${label}; its labels: ${listOf(before.labels.keys())}`)
    return before
  }
  const values = before.labels.get(label)
  if (!checkMatcher(context, node, { name, matcher, values })) return before
  const isNarrower = operator === '=' || values !== undefined
  return isNarrower ? withLabel(before, label, narrow(values, matcher), isCertain(before, label)) : before
}

/** Reports a matcher that matches or excludes nothing; returns `false` for one that cannot be evaluated. */
function checkMatcher(
  { report }: Context,
  node: SyntaxNode,
  { name, matcher, values }: { name: string; matcher: Matcher; values: Values },
): boolean {
  const { label, operator, value } = matcher
  const isPattern = operator.endsWith('~')
  if (isPattern && !isRegex(value)) {
    report('value', node, `${name}{${label}${operator}"${value}"} is not a valid regular expression`)
    return false
  }
  if (values === undefined) return true
  const known = [...values, OVERFLOW]
  // Each alternative of `failed|timeout` must be a possible value.
  const parts = isPattern && /^[\w|-]+$/.test(value) ? value.split('|') : [value]
  const positive = isPattern ? '=~' : '='
  for (const part of parts) {
    if (known.some((one) => matches(one, positive, part))) continue
    const verb = operator.startsWith('!') ? 'excludes nothing' : 'never matches'
    report('value', node, `${name}{${label}${operator}"${part}"} ${verb}; values of ${label}: ${listOf(values)}`)
  }
  return true
}

function matchersOf({ text }: Context, selector: SyntaxNode): Matcher[] {
  return childrenOf(selector.getChild('LabelMatchers')).flatMap((matcher) => {
    const label = firstOf(matcher, 'LabelName', 'QuotedLabelName')
    const operator = firstOf(matcher, 'MatchOp')
    const value = firstOf(matcher, 'StringLiteral')
    if (!label || !operator || !value) return []
    return [{ label: unquote(text(label)), operator: text(operator), value: unquote(text(value)) }]
  })
}
