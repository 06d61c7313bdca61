/**
 * Every PromQL expression of the repository, with the file and the line that it stands on.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isComplete } from './evaluate.ts'
import { type Lookup, lint, type Problem, type Purpose } from './lint.ts'
import { type Rule, readRules } from './rules.ts'

/** An expression and where it stands. */
export interface Source {
  /** From the folder of the repository. */
  file: string
  /** Of the expression's first line, from 1. */
  line: number
  expression: string
  purpose: Purpose
}

/** A problem and where it stands. */
export interface Finding extends Problem {
  file: string
  line: number
  expression: string
}

/** Folders without documents of ours. */
const SKIPPED = new Set(['node_modules', 'dist', 'fixtures', 'test'])
const DASHBOARDS = 'monitoring/grafana/dashboards/'

/** What Grafana puts in place of its variables, as the lint reads them. */
const SAMPLE_VALUES: Readonly<Record<string, string>> = { __rate_interval: '5m', __interval: '1m', __range: '1h' }

/** All sources of the repository. */
export function findSources(root: URL): Source[] {
  return [
    ...readRules(root).map(sourceOfRule),
    ...filesIn(root, DASHBOARDS, '.json').flatMap((file) => sourcesOfDashboard(file, read(root, file))),
    ...markdownFiles(root).flatMap((file) => sourcesOfMarkdown(file, read(root, file))),
  ]
}

/** What is wrong with the sources. */
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

/** `file:line: why (rule)` and the expression. */
export function formatFinding({ file, line, rule, message, expression }: Finding): string {
  return `${file}:${line}: ${message} (${rule})\n    ${expression.trim().replace(/\s+/g, ' ')}`
}

export function sourceOfRule({ file, line, expression, record, alert, labels, annotations }: Rule): Source {
  const purpose: Purpose = {
    ...(record === undefined ? {} : { record }),
    ...(alert === undefined ? {} : { alert: { name: alert, labels: Object.keys(labels), annotations } }),
  }
  return { file, line, expression, purpose }
}

/** What can only go on with the line before: an operator, or a word between the parts of an expression. */
const CONTINUATION =
  /^\s*([-+*/%^=!<>)\]},@[]|(and|or|unless|atan2|by|without|on|ignoring|group_left|group_right|offset|bool)\b)/

/** The expressions of ```promql blocks: a comment, an empty line, or a line that cannot belong to what is complete ends one. */
export function sourcesOfMarkdown(file: string, text: string): Source[] {
  const sources: Source[] = []
  let isInside = false
  let current: Source | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*```/.test(line)) {
      isInside = !isInside && /^\s*```promql\b/.test(line)
      current = undefined
    } else if (/^\s*(#|$)/.test(line)) {
      current = undefined
    } else if (isInside && current && !isNext(current.expression, line)) {
      current.expression += `\n${line}`
    } else if (isInside) {
      current = { file, line: index + 1, expression: line, purpose: {} }
      sources.push(current)
    }
  }
  return sources
}

/** Whether an expression begins on this line: two operands never stand side by side. `sum` is complete, and `sum (` goes on. */
function isNext(before: string, line: string): boolean {
  if (CONTINUATION.test(line) || !isComplete(before)) return false
  return !/^\s*\(/.test(line) || !/\w$/.test(before)
}

/** The expressions of a dashboard's panels, with sample values for Grafana's variables. */
export function sourcesOfDashboard(file: string, text: string): Source[] {
  const lines = text.split('\n')
  return lines.flatMap((line, index) => {
    const [, json] = /^\s*"expr": (".*"),?$/.exec(line) ?? []
    if (json === undefined) return []
    return [{ file, line: index + 1, expression: substitute(JSON.parse(json), {}), purpose: {} }]
  })
}

/** An expression with values in place of Grafana's variables: `.+` for those that are not given. */
export function substitute(expression: string, values: Readonly<Record<string, string>>): string {
  return expression.replace(/\$\{?(\w+)(?::\w+)?\}?/g, (_, name: string) => values[name] ?? SAMPLE_VALUES[name] ?? '.+')
}

function markdownFiles(root: URL): string[] {
  const top = readdirSync(root).filter((name) => name.endsWith('.md'))
  return [...top, ...['apps/', 'docs/', 'monitoring/', 'packages/'].flatMap((folder) => filesIn(root, folder, '.md'))]
}

/** The files below a folder, sorted. */
function filesIn(root: URL, folder: string, extension: string): string[] {
  if (!existsSync(new URL(folder, root))) return []
  return readdirSync(new URL(folder, root), { withFileTypes: true })
    .filter(({ name }) => !SKIPPED.has(name) && !name.startsWith('.'))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isDirectory()) return filesIn(root, `${folder}${entry.name}/`, extension)
      return entry.name.endsWith(extension) ? [folder + entry.name] : []
    })
}

function read(root: URL, file: string): string {
  return readFileSync(new URL(file, root), 'utf8')
}
