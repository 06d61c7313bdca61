/**
 * What each name in a query stands for: a metric of the catalogue, a part of a histogram, a recording rule, or a metric of
 * somebody else.
 *
 * @module
 */

import { shapeOf } from './evaluate.ts'
import { foreignMetrics, targetMetrics } from './foreign.ts'
import type { Lookup } from './lint.ts'
import { catalogue, type Metric, TARGET_LABELS } from './metrics.ts'
import type { Rule } from './rules.ts'
import { type Shape, union, type Values, vector, withLabel } from './shape.ts'

/** The metrics of the catalogue and the recording rules among these. */
export function createLookup(rules: readonly Rule[]): Lookup {
  const shapes = new Map<string, Shape | undefined>(catalogue.flatMap(shapesOf))
  for (const name of targetMetrics) shapes.set(name, vector('gauge', labelsOf([])))
  for (const name of foreignMetrics) shapes.set(name, vector(kindOf(name), labelsOf([]), { isOpen: true }))
  const recorded = new Map<string, Rule[]>()
  for (const rule of rules) {
    if (rule.record !== undefined) recorded.set(rule.record, [...(recorded.get(rule.record) ?? []), rule])
  }
  return lookup

  function lookup(name: string): Shape | undefined {
    if (!shapes.has(name) && recorded.has(name)) {
      // A rule that reads itself finds nothing.
      shapes.set(name, undefined)
      shapes.set(name, recorded.get(name)!.map(recordedShape).reduce(union))
    }
    return shapes.get(name)
  }

  function recordedShape({ expression, labels }: Rule): Shape {
    const { metric, constant, hasOffset, ...shape } = shapeOf(expression, lookup)
    return Object.entries(labels).reduce<Shape>((made, [label, value]) => withLabel(made, label, new Set([value])), {
      ...shape,
      kind: shape.kind === 'counter' ? 'counter' : 'gauge',
    })
  }
}

/** A histogram has three names, none of them its own. */
function shapesOf({ name, type, labels, values, buckets = [], isShared }: Metric): Array<[string, Shape]> {
  const all = labelsOf(labels, values)
  if (type !== 'histogram') return [[name, vector(type, all, isShared ? { isShared } : {})]]
  const bounds = new Set([...buckets.map(formatBound), '+Inf'])
  return [
    [`${name}_bucket`, vector('counter', [...all, ['le', bounds]], { buckets })],
    [`${name}_sum`, vector('counter', all)],
    [`${name}_count`, vector('counter', all)],
  ]
}

function labelsOf(labels: readonly string[], values: Metric['values'] = {}): Array<[string, Values]> {
  return [...labels, ...TARGET_LABELS].map((label) => [label, values[label] ? new Set(values[label]) : undefined])
}

function kindOf(name: string): 'counter' | 'gauge' {
  return name.endsWith('_total') ? 'counter' : 'gauge'
}

/**
 * A bound as packages/metrics-core writes it, which is how Go writes a float: `1.0`, `1e+06`. Prometheus 2 keeps the text of
 * an exposition and Prometheus 3 makes it this, so a matcher with any other text finds nothing on one of them.
 */
export function formatBound(bound: number): string {
  const [digits, exponent] = bound.toExponential().split('e')
  const power = Number(exponent)
  if (power < -4 || power >= 6) return `${digits}e${power < 0 ? '-' : '+'}${`${Math.abs(power)}`.padStart(2, '0')}`
  return Number.isInteger(bound) ? `${bound}.0` : `${bound}`
}
