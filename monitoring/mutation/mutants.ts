/**
 * Mutants of a rule file: each has one mistake. A good suite of rule tests fails for every mutant.
 *
 * @module
 */

/** A rule file with one mistake. */
export interface Mutant {
  /** The file, the rule and the mistake. It is stable as long as the rule does not change. */
  id: string
  /** The whole text of the file. */
  text: string
}

/** Part of a rule file: the characters from `start` to `end`. */
interface Region {
  kind: 'expression' | 'for' | 'label'
  rule: string
  start: number
  end: number
}

/** A kind of mistake: a pattern in a part of a rule, and its replacements, each of which makes a mutant. */
interface Mutation {
  kind: Region['kind']
  pattern: RegExp
  replace(match: RegExpExecArray): string[]
}

/** Larger than any value of any test. */
const HUGE = '1e9'

const MUTATIONS: Mutation[] = [
  // Thresholds, doubled and halved: a test must have a value on each side that is nearer than that.
  {
    kind: 'expression',
    pattern: /(?<= [<>] )(?:[\d.]+ \* )?[\d.]+/g,
    replace: ([threshold]) => (threshold === '0' ? [HUGE, '-1'] : [`2 * ${threshold}`, `0.5 * ${threshold}`]),
  },
  { kind: 'expression', pattern: /(?<= == )0/g, replace: () => ['1'] },
  {
    kind: 'expression',
    pattern: / (<|>|==) (?=[\d(])/g,
    replace: ([, operator]) => [operator === '<' ? ' > ' : operator === '>' ? ' < ' : ' != '],
  },
  // Parts of a condition.
  { kind: 'expression', pattern: /\n\s+and\n\s+[^\n]+(?:\n\s+[^\n]+)*$/g, replace: () => [''] },
  { kind: 'expression', pattern: /\band\b/g, replace: () => ['or'] },
  { kind: 'expression', pattern: /\s+or\s+[^\n]+ \* 0/g, replace: () => [''] },
  // Aggregations and their labels.
  {
    kind: 'expression',
    pattern: /\b(sum|max) by\b/g,
    replace: ([, operator]) => [operator === 'sum' ? 'max by' : 'sum by'],
  },
  {
    kind: 'expression',
    pattern: /\bby \(([^)]+)\)/g,
    replace: ([, labels]) => {
      const names = labels!.split(', ')
      return names.map((name) => `by (${names.filter((other) => other !== name).join(', ')})`)
    },
  },
  // Selectors.
  {
    kind: 'expression',
    pattern: /(?<=[{,])(\w+)(=~|!~|=)"([^"]*)"/g,
    replace: ([, label, operator, value]) => [
      `${label}${operator}"no-${value}"`,
      ...(operator === '=~'
        ? value!.includes('|')
          ? value!.split('|').map((one) => `${label}="${one}"`)
          : [`${label}=~".+"`]
        : []),
    ],
  },
  { kind: 'expression', pattern: /\{[^}]+\}/g, replace: () => [''] },
  // Operators and parameters.
  { kind: 'expression', pattern: /(?<=histogram_quantile\()0\.\d+/g, replace: () => ['0.5', '0.99'] },
  { kind: 'expression', pattern: /\n\s+[/+]\n/g, replace: () => [' *\n'] },
  { kind: 'expression', pattern: / \/ /g, replace: () => [' * '] },
  { kind: 'expression', pattern: /(?<=\()(\d+)(?= \* 3600| - )/g, replace: () => ['2'] },
  { kind: 'expression', pattern: /(?<=, )24(?= \* 3600)/g, replace: () => ['12', '48'] },
  { kind: 'expression', pattern: /\[(\d+)([mhd])\]/g, replace: ([, count, unit]) => [`[${Number(count) * 2}${unit}]`] },
  // Durations and severities.
  {
    kind: 'for',
    pattern: /(\d+)([mh])/g,
    replace: ([, count, unit]) => {
      const seconds = Number(count) * (unit === 'h' ? 3600 : 60)
      return seconds === 0 ? ['5m'] : [`${seconds * 2}s`, `${seconds / 2}s`]
    },
  },
  {
    kind: 'label',
    pattern: /(?<=severity: )\w+/g,
    replace: ([severity]) => [severity === 'critical' ? 'warning' : 'critical'],
  },
  { kind: 'label', pattern: /(?<=(?:status|long_window|short_window): )\w+/g, replace: () => ['other'] },
]

/** Returns every mutant of a rule file; `file` is its name in their ids. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const mutants: Mutant[] = []
  const seen = new Map<string, number>()
  for (const { kind, rule, start, end } of regionsOf(text)) {
    const part = text.slice(start, end)
    for (const mutation of MUTATIONS.filter((candidate) => candidate.kind === kind)) {
      for (const match of part.matchAll(mutation.pattern)) {
        for (const replacement of mutation.replace(match)) {
          const at = start + match.index
          const name = `${file} ${rule}: ${oneLine(match[0])} -> ${oneLine(replacement) || 'nothing'}`
          const times = (seen.get(name) ?? 0) + 1
          seen.set(name, times)
          mutants.push({
            id: times === 1 ? name : `${name} (${times})`,
            text: text.slice(0, at) + replacement + text.slice(at + match[0].length),
          })
        }
      }
    }
  }
  return mutants
}

/** Returns the parts of the rules. It relies on the layout of our files: a rule's fields are indented by eight. */
function regionsOf(text: string): Region[] {
  const regions: Region[] = []
  let rule = ''
  let start = 0
  for (const line of text.split('\n')) {
    const end = start + line.length
    const last = regions.at(-1)
    const [, name] = /^ {6}- (?:alert|record): (\S+)/.exec(line) ?? []
    if (name) rule = name
    if (/^ {8}expr: /.test(line)) regions.push({ kind: 'expression', rule, start, end })
    else if (/^ {10}/.test(line) && last?.kind === 'expression' && last.end === start - 1) last.end = end
    else if (/^ {8}for: /.test(line)) regions.push({ kind: 'for', rule, start, end })
    else if (/^ {10}(?:severity|status|long_window|short_window): /.test(line))
      regions.push({ kind: 'label', rule, start, end })
    start = end + 1
  }
  return regions
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
