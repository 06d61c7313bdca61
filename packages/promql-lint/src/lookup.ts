/**
 * Resolves the names in a query: metrics, parts of histograms and recording rules.
 *
 * @module
 */
import { evaluate } from './evaluate.ts'
import type { Rule } from './rule-file.ts'
import { type Lookup, type Shape, union, type Values, vector, withLabel } from './shape.ts'

/** A metric as it is exposed. */
export interface Metric {
  /** Of a histogram, the name without `_bucket`, `_sum` and `_count`. */
  name: string
  type: 'counter' | 'gauge' | 'histogram'
  /** Without the labels of the target. @default [] */
  labels?: readonly string[]
  /** The possible values of those labels that have a fixed set of them. @default {} */
  values?: Readonly<Record<string, readonly string[]>>
  /** Bucket boundaries of a histogram, ascending, without +Inf. @default [] */
  buckets?: readonly number[]
  /** Every process reports the same value, say the length of a shared queue. @default false */
  isShared?: boolean
  /** It can have further labels, which are not known. @default false */
  isOpen?: boolean
}

export interface LookupOptions {
  /** Labels that Prometheus adds to every series. @default ['instance', 'job'] */
  targetLabels?: readonly string[]
}

/**
 * Returns a lookup of metrics and of the recording rules among `rules`. A rule's labels are derived from its
 * expression; a metric hides a rule of the same name.
 */
export function createLookup(
  metrics: readonly Metric[],
  rules: readonly Rule[] = [],
  { targetLabels = ['instance', 'job'] }: LookupOptions = {},
): Lookup {
  const shapes = new Map<string, Shape | undefined>(metrics.flatMap((metric) => shapesOf(metric, targetLabels)))
  const recorded = new Map<string, Rule[]>()
  for (const rule of rules) {
    if (rule.record !== undefined) recorded.set(rule.record, [...(recorded.get(rule.record) ?? []), rule])
  }
  return lookup

  function lookup(name: string): Shape | undefined {
    if (!shapes.has(name) && recorded.has(name)) {
      // A rule that reads itself finds nothing instead of recursing for ever.
      shapes.set(name, undefined)
      shapes.set(name, recorded.get(name)!.map(recordedShape).reduce(union))
    }
    return shapes.get(name)
  }

  function recordedShape({ expression, labels }: Rule): Shape {
    const { metric, constant, hasOffset, ...shape } = evaluate(expression, lookup).shape
    return Object.entries(labels).reduce<Shape>((made, [label, value]) => withLabel(made, label, new Set([value])), {
      ...shape,
      kind: shape.kind === 'counter' ? 'counter' : 'gauge',
    })
  }
}

/** A histogram is queried by the names of its three parts, never by its own. */
function shapesOf(metric: Metric, targetLabels: readonly string[]): Array<[string, Shape]> {
  const { name, type, labels = [], values = {}, buckets = [], isShared = false, isOpen = false } = metric
  const all = [...labels, ...targetLabels].map((label): [string, Values] => [
    label,
    values[label] ? new Set(values[label]) : undefined,
  ])
  if (type !== 'histogram') return [[name, vector(type, all, { isOpen, ...(isShared ? { isShared } : {}) })]]
  const boundaries = new Set([...buckets.map(formatBoundary), '+Inf'])
  return [
    [`${name}_bucket`, vector('counter', [...all, ['le', boundaries]], { buckets, isOpen })],
    [`${name}_sum`, vector('counter', all, { isOpen })],
    [`${name}_count`, vector('counter', all, { isOpen })],
  ]
}

/**
 * Returns the value of the label `le` for a bucket boundary, as Go formats a float: `1.0`, `1e+06`. Prometheus 3
 * rewrites every boundary to this form; Prometheus 2 stores the text of the exposition. A matcher in this form works on
 * both if the application writes it too, as `@data20/metrics-core` does.
 */
export function formatBoundary(boundary: number): string {
  const [digits, exponent] = boundary.toExponential().split('e')
  const power = Number(exponent)
  if (power < -4 || power >= 6) return `${digits}e${power < 0 ? '-' : '+'}${`${Math.abs(power)}`.padStart(2, '0')}`
  return Number.isInteger(boundary) ? `${boundary}.0` : `${boundary}`
}
