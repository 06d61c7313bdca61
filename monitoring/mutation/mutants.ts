/**
 * Mistakes that could be made in a rule file, one at a time. A suite of rule tests is good when it fails for each of them.
 *
 * @module
 */

/** A rule file with one mistake. */
export interface Mutant {
  /** The file, the rule and the mistake; the same as long as the rule is. */
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

/** A way to make a mistake: what it looks for in which part, and what it writes instead, each text a mutant. */
interface Mutation {
  kind: Region['kind']
  pattern: RegExp
  replace(match: RegExpExecArray): string[]
}

/** Larger than any value of any test. */
const HUGE = '1e9'

const MUTATIONS: Mutation[] = [
  // Thresholds, twice and half: a test has a value on each side that is nearer than that.
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
  // What is added up, and over what.
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
  // What is selected.
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
  // How long, and how bad.
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

/** Every mutant of a rule file; `file` is its name in their ids. */
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

/** The parts of the rules, in the layout of our files: a rule's fields are indented by eight. */
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
