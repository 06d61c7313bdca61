/**
 * The lint of PromQL: an expression against the metric catalogue. promtool knows the grammar and no metric; what it lets
 * pass (an unknown name, a label that is gone, a value that never comes, a rate of a gauge, a threshold that a histogram
 * cannot reach) is found here.
 *
 * @module
 */
import { evaluate, isComparison, reasonOfBareCounter } from './evaluate.ts'
import { isCertain, type Shape } from './shape.ts'

/** What a name stands for: a metric, a part of a histogram, or a recording rule; `undefined` when nothing has it. */
export type Lookup = (name: string) => Shape | undefined

export interface Problem {
  /** The rule that was broken, one of {@link RULES}. */
  rule: keyof typeof RULES
  /** Why it is wrong. */
  message: string
  /** Where in the expression, in characters from 0. */
  from: number
}

/** What an expression is for. */
export interface Purpose {
  /** The name that a recording rule gives to it. */
  record?: string
  /** The alert that it fires: its annotations use the labels that are left. */
  alert?: Alert
}

interface Alert {
  name: string
  /** Names of the labels that the rule adds. */
  labels: readonly string[]
  annotations: Readonly<Record<string, string>>
}

/** The rules, and what each is there for. */
export const RULES = {
  syntax: 'The expression parses.',
  metric: 'Each metric exists.',
  label: 'Each label of a matcher exists.',
  value: 'Each matcher can match, and what it excludes can exist.',
  grouping: 'Each label of `by`, `without`, `on`, `ignoring` and `group_left` exists.',
  matching: 'The sides of an operator have labels that can match.',
  rate: 'rate, irate, increase and resets are of counters and parts of histograms, before any aggregation.',
  counter: 'A counter is never shown as it is: its value says how long the process has run.',
  aggregation: 'What every process reads from the same broker is not added up.',
  quantile: 'histogram_quantile has the label le.',
  threshold: 'A threshold of a quantile is a bound of a bucket, and below the largest.',
  comparison: 'An alert compares, or is about absence.',
  annotation: 'Each label that an annotation shows survives the aggregation.',
} as const

/** Everything that is wrong with an expression, in the order of its text. */
export function lint(expression: string, lookup: Lookup, { record, alert }: Purpose = {}): Problem[] {
  const { problems, shape, root } = evaluate(expression, lookup)
  if (root !== undefined) {
    const isCounterName = record !== undefined && /_(total|bucket|sum|count)$/.test(record)
    if (shape.kind === 'counter' && !isCounterName) {
      problems.push({ rule: 'counter', message: reasonOfBareCounter(shape.metric ?? expression), from: root.from })
    }
    if (alert !== undefined) problems.push(...lintAlert(expression, shape, alert))
  }
  return problems.sort((a, b) => a.from - b.from)
}

/** What is wrong with what an alert makes of its expression. */
function lintAlert(expression: string, shape: Shape, { name, labels, annotations }: Alert): Problem[] {
  const problems: Problem[] = []
  const isAlways = /^\s*vector\s*\(\s*1\s*\)\s*$/.test(expression)
  if (!isAlways && !isComparison(expression) && !/\babsent(_over_time)?\b/.test(expression)) {
    const message = `the alert ${name} compares with nothing, so it fires for every series`
    problems.push({ rule: 'comparison', message, from: 0 })
  }
  for (const [annotation, template] of Object.entries(annotations)) {
    for (const [, label] of template.matchAll(/(?:\$labels|\.Labels)\.(\w+)/g)) {
      if (labels.includes(label!) || isCertain(shape, label!)) continue
      const left = [...shape.certain].sort().join(', ') || 'nothing'
      const message = `${annotation} shows the label ${label}, but what is left is ${left}`
      problems.push({ rule: 'annotation', message, from: 0 })
    }
  }
  return problems
}
