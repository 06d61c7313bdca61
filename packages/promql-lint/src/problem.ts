/**
 * The rules of the lint, and the problem that a broken rule makes.
 *
 * @module
 */

/** Each rule by its name, with what holds for an expression that keeps it. */
export const RULES = {
  syntax: 'The expression parses.',
  metric: 'Each metric exists.',
  label: 'Each label of a matcher exists.',
  value: 'Each matcher can match, and what it excludes can exist.',
  grouping: 'Each label of `by`, `without`, `on`, `ignoring`, `group_left` and `group_right` exists.',
  matching: 'Series on both sides of a binary operator can match.',
  rate: '`rate`, `irate`, `increase` and `resets` read counters, before any aggregation.',
  counter: 'A counter is never used without a rate: its raw value depends on when the process started.',
  aggregation: 'A value that every process reports alike is not summed over processes.',
  quantile: '`histogram_quantile` and `histogram_fraction` have the label `le`.',
  threshold: 'A quantile is compared with a bucket boundary below the largest.',
  comparison: 'The expression of an alert compares something, or uses `absent`.',
  annotation: 'Each label in an annotation survives the aggregations of the expression.',
} as const

/** The name of a rule of the lint. */
export type RuleName = keyof typeof RULES

export interface Problem {
  /** The broken rule. */
  rule: RuleName
  /** What is wrong and, where it is known, what to do. */
  message: string
  /** Offset in the expression, in characters from 0. */
  from: number
}
