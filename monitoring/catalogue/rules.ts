/**
 * The rules of Prometheus, as they stand in `monitoring/prometheus`.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml'

export interface Rule {
  /** From the folder of the repository. */
  file: string
  /** Of the expression's first line, from 1. */
  line: number
  expression: string
  record?: string
  alert?: string
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
}

/** Where the rules are, from the folder of the repository. */
const FOLDERS = ['monitoring/prometheus/rules/', 'monitoring/prometheus/alerts/']

/** Recording and alerting rules, in the order of their files. */
export function readRules(root: URL): Rule[] {
  return FOLDERS.filter((folder) => existsSync(new URL(folder, root))).flatMap((folder) =>
    readdirSync(new URL(folder, root))
      .filter((name) => /\.ya?ml$/.test(name))
      .sort()
      .flatMap((name) => parseRules(folder + name, readFileSync(new URL(folder + name, root), 'utf8'))),
  )
}

/** The rules of one file's text. Throws for a text that is no YAML. */
export function parseRules(file: string, text: string): Rule[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  if (document.errors[0]) throw new Error(`${file}: ${document.errors[0].message}`)
  return mapsIn(document.get('groups')).flatMap((group) =>
    mapsIn(group.get('rules')).map((rule) => {
      const node = rule.get('expr', true)
      if (!isScalar(node) || !node.range) throw new Error(`${file}: Expected a rule with an expr, got ${rule}`)
      const { line } = lines.linePos(node.range[0])
      const { record, alert, labels = {}, annotations = {} } = rule.toJSON()
      const rest = { file, record, alert, labels, annotations }
      const isBlock = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED'
      if (!isBlock) return { ...rest, line, expression: String(node.value) }
      // The lines after the `>-`, since folding loses where they end, which PromQL does not mind.
      const [, ...block] = text.slice(node.range[0], node.range[1]).trimEnd().split('\n')
      return { ...rest, line: line + 1, expression: block.map((one) => one.trim()).join('\n') }
    }),
  )
}

function mapsIn(node: unknown): YAMLMap[] {
  return isSeq(node) ? node.items.filter((item): item is YAMLMap => isMap(item)) : []
}
