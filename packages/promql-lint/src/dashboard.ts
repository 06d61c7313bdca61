/**
 * Finds the expressions in the JSON of a Grafana dashboard.
 *
 * @module
 */
import type { Source } from './source.ts'

/** Values for the variables that Grafana itself sets. */
const SAMPLE_VALUES: Readonly<Record<string, string>> = { __rate_interval: '5m', __interval: '1m', __range: '1h' }

/**
 * Returns the expressions of the panels, with sample values for variables. The JSON must be indented, so that each
 * `expr` has a line of its own.
 */
export function sourcesOfDashboard(file: string, text: string): Source[] {
  return text.split('\n').flatMap((line, index) => {
    const [, json] = /^\s*"expr": (".*"),?$/.exec(line) ?? []
    if (json === undefined) return []
    return [{ file, line: index + 1, expression: substitute(JSON.parse(json), {}), purpose: {} }]
  })
}

/**
 * Returns an expression with values for Grafana's variables (`$job`, `${job}`, `${job:regex}`); `.+` for any other one.
 */
export function substitute(expression: string, values: Readonly<Record<string, string>>): string {
  return expression.replace(/\$\{?(\w+)(?::\w+)?\}?/g, (_, name: string) => values[name] ?? SAMPLE_VALUES[name] ?? '.+')
}
