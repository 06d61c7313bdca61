/**
 * Expressions with their position in a file, and findings as text.
 *
 * @module
 */
import { lint, type Purpose } from './lint.ts'
import type { Problem } from './problem.ts'
import type { Rule } from './rule-file.ts'
import type { Lookup } from './shape.ts'

/** An expression and its position. */
export interface Source {
  /** The name of its file. */
  file: string
  /** The first line of the expression, from 1. */
  line: number
  expression: string
  purpose: Purpose
}

/** A problem and its position. */
export interface Finding extends Problem {
  file: string
  line: number
  /** The whole expression. */
  expression: string
}

/** Returns the expression of a rule, with its purpose. */
export function sourceOfRule({ file, line, expression, record, alert, labels, annotations }: Rule): Source {
  const purpose: Purpose = {
    ...(record === undefined ? {} : { record }),
    ...(alert === undefined ? {} : { alert: { name: alert, labels: Object.keys(labels), annotations } }),
  }
  return { file, line, expression, purpose }
}

/** Returns the problems of all sources, in their order. */
export function lintSources(sources: readonly Source[], lookup: Lookup): Finding[] {
  return sources.flatMap(({ file, line, expression, purpose }) =>
    lint(expression, lookup, purpose).map((problem) => ({
      ...problem,
      file,
      line: line + (expression.slice(0, problem.from).split('\n').length - 1),
      expression,
    })),
  )
}

/** Returns a finding as `file:line: message (rule)`, with the expression on a second line. */
export function formatFinding({ file, line, rule, message, expression }: Finding): string {
  return `${file}:${line}: ${message} (${rule})\n    ${expression.trim().replace(/\s+/g, ' ')}`
}
