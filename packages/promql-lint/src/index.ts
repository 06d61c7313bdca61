/**
 * Checks PromQL expressions against the metrics, labels, label values and buckets that exist.
 * See docs/decisions/0015-a-catalogue-lints-promql.md.
 *
 * @module
 */
export { sourcesOfDashboard, substitute } from './dashboard.ts'
export { type Alert, lint, type Purpose } from './lint.ts'
export { createLookup, formatBoundary, type LookupOptions, type Metric } from './lookup.ts'
export { sourcesOfMarkdown } from './markdown.ts'
export { type Problem, RULES, type RuleName } from './problem.ts'
export { parseRules, type Rule } from './rule-file.ts'
export type { Lookup, Shape, Values } from './shape.ts'
export { type Finding, formatFinding, lintSources, type Source, sourceOfRule } from './source.ts'
