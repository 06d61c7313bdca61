/**
 * Reads the rule files of Prometheus, with the line of each expression.
 *
 * @module
 */
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml'

/** A recording or an alerting rule. */
export interface Rule {
  /** The name of its file, as it was given. */
  file: string
  /** The first line of the expression, from 1. */
  line: number
  expression: string
  record?: string
  alert?: string
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
}

/** Returns the rules in the text of a rule file. Throws for invalid YAML, and for a rule without `expr`. */
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
      // Folding (`>-`) loses the line breaks, which a position needs, so the lines are taken from the source.
      const [, ...block] = text.slice(node.range[0], node.range[1]).trimEnd().split('\n')
      return { ...rest, line: line + 1, expression: block.map((one) => one.trim()).join('\n') }
    }),
  )
}

function mapsIn(node: unknown): YAMLMap[] {
  return isSeq(node) ? node.items.filter((item): item is YAMLMap => isMap(item)) : []
}
