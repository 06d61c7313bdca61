/**
 * The lint: one expression against the metrics that exist. `promtool` knows the grammar of PromQL but no metric, so it
 * accepts an unknown name, a removed label, a value that never occurs, the rate of a gauge, or a threshold that a
 * histogram cannot reach.
 *
 * @module
 */
import { describeBareCounter } from './evaluate/context.ts'
import { evaluate } from './evaluate.ts'
import type { Problem } from './problem.ts'
import { isCertain, type Lookup, type Shape } from './shape.ts'
import { isComparison } from './tree.ts'

/** The use of an expression. */
export interface Purpose {
  /** The name of the recording rule that stores it. */
  record?: string
  /** The alert that it fires. */
  alert?: Alert
}

export interface Alert {
  name: string
  /** Names of the labels that the rule adds. */
  labels: readonly string[]
  /** Templates that can use the labels of the result. */
  annotations: Readonly<Record<string, string>>
}

/** Returns the problems of an expression, in the order of its text. Never throws for a wrong expression. */
export function lint(expression: string, lookup: Lookup, { record, alert }: Purpose = {}): Problem[] {
  const { problems, shape, root } = evaluate(expression, lookup)
  if (root !== undefined) {
    const isCounterName = record !== undefined && /_(total|bucket|sum|count)$/.test(record)
    if (shape.kind === 'counter' && !isCounterName) {
      problems.push({ rule: 'counter', message: describeBareCounter(shape.metric ?? expression), from: root.from })
    }
    if (alert !== undefined) problems.push(...lintAlert(expression, shape, alert))
  }
  return problems.sort((a, b) => a.from - b.from)
}

function lintAlert(expression: string, shape: Shape, { name, labels, annotations }: Alert): Problem[] {
  const problems: Problem[] = []
  const isAlways = /^\s*vector\s*\(\s*1\s*\)\s*$/.test(expression)
  if (!isAlways && !isComparison(expression) && !/\babsent(_over_time)?\b/.test(expression)) {
    const message = `the alert ${name} compares nothing, so it fires for every series`
    problems.push({ rule: 'comparison', message, from: 0 })
  }
  for (const [annotation, template] of Object.entries(annotations)) {
    for (const [, label] of template.matchAll(/(?:\$labels|\.Labels)\.(\w+)/g)) {
      if (labels.includes(label!) || isCertain(shape, label!)) continue
      const kept = [...shape.certain].sort().join(', ') || 'none'
      const message = `the annotation ${annotation} uses the label ${label}; labels that the expression keeps: ${kept}`
      problems.push({ rule: 'annotation', message, from: 0 })
    }
  }
  return problems
}
