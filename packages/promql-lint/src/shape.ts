/**
 * The shape of a PromQL expression: its labels, their possible values, and whether it is a counter. The evaluator
 * derives it bottom-up from the syntax tree and reports problems on the way.
 *
 * @module
 */

/** The possible values of a label; `undefined` when the set is not known. */
export type Values = ReadonlySet<string> | undefined

export interface Shape {
  /** The parts of a histogram (`_bucket`, `_sum`, `_count`) are counters too. */
  kind: 'counter' | 'gauge' | 'scalar' | 'string'
  /** Labels that a series can have, with their possible values. */
  labels: ReadonlyMap<string, Values>
  /** Labels that every series has. */
  certain: ReadonlySet<string>
  /** The labels of the metric are not known, so any label is possible. */
  isOpen: boolean
  /** Bucket boundaries of the histogram whose `_bucket` series these are. */
  buckets?: readonly number[]
  /** Bucket boundaries of the histogram whose quantile this is. */
  quantileOf?: readonly number[]
  /** The value of a constant number. */
  constant?: number
  /** The content of a string literal. */
  text?: string
  /** The name of the metric, as long as nothing was computed from it. */
  metric?: string
  /** Every process reports the same value, so summing over processes is wrong. */
  isShared?: boolean
  /** Read at another time than now, by `offset`. */
  hasOffset?: boolean
}

/**
 * Returns the shape of what a name stands for: a metric, a part of a histogram or a recording rule. `undefined`:
 * unknown.
 */
export type Lookup = (name: string) => Shape | undefined

/** A label matcher of a selector. */
export interface Matcher {
  label: string
  operator: string
  value: string
}

/** Returns an instant vector in which every series has all of the labels. */
export function vector(
  kind: 'counter' | 'gauge',
  labels: Iterable<readonly [string, Values]>,
  rest: Partial<Shape> = {},
): Shape {
  const map = new Map(labels)
  return { kind, labels: map, certain: new Set(map.keys()), isOpen: false, ...rest }
}

/** Returns a vector of one series without labels. */
export function single(): Shape {
  return vector('gauge', [])
}

/** Returns a scalar, with its value where that is known. */
export function scalar(constant?: number): Shape {
  return { ...single(), kind: 'scalar', ...(constant === undefined ? {} : { constant }) }
}

/** Returns whether a shape is a vector, not a scalar or a string. */
export function isVector({ kind }: Shape): boolean {
  return kind === 'counter' || kind === 'gauge'
}

/** Returns whether series of this shape can have a label. */
export function hasLabel({ labels, isOpen }: Shape, label: string): boolean {
  return isOpen || labels.has(label)
}

/** Returns whether every series of this shape has a label. */
export function isCertain({ certain, isOpen }: Shape, label: string): boolean {
  return isOpen || certain.has(label)
}

/** Returns the shape with only those labels for which `isKept` returns `true`. */
export function keep(shape: Shape, isKept: (label: string) => boolean): Shape {
  return {
    ...shape,
    labels: new Map([...shape.labels].filter(([label]) => isKept(label))),
    certain: new Set([...shape.certain].filter(isKept)),
  }
}

/** Returns the shape with a label added, or with other values of a label that it has. */
export function withLabel(shape: Shape, label: string, values: Values, isCertain = true): Shape {
  const certain = new Set(shape.certain)
  if (isCertain) certain.add(label)
  return { ...shape, labels: new Map([...shape.labels, [label, values]]), certain }
}

/** Returns the shape of the series of both shapes together. */
export function union(left: Shape, right: Shape): Shape {
  const labels = new Map<string, Values>()
  for (const label of new Set([...left.labels.keys(), ...right.labels.keys()])) {
    const [a, b] = [valuesOf(left, label), valuesOf(right, label)]
    labels.set(label, a && b ? new Set([...a, ...b]) : undefined)
  }
  const { quantileOf, buckets, ...rest } = left
  return {
    ...rest,
    kind: left.kind === 'counter' || right.kind === 'counter' ? 'counter' : left.kind,
    labels,
    certain: new Set([...left.certain].filter((label) => isCertain(right, label))),
    isOpen: left.isOpen || right.isOpen,
    ...(quantileOf ? { quantileOf } : {}),
    ...(buckets ? { buckets } : {}),
  }
}

/** Returns the values that a matcher accepts. */
export function narrow(values: Values, { operator, value }: Matcher): Values {
  if (values === undefined) return operator === '=' ? new Set([value]) : undefined
  return new Set([...values].filter((one) => matches(one, operator, value)))
}

/** Returns whether a matcher accepts a value. */
export function matches(one: string, operator: string, value: string): boolean {
  if (operator === '=') return one === value
  if (operator === '!=') return one !== value
  // Prometheus anchors regular expressions.
  const isMatch = new RegExp(`^(?:${value})$`, 's').test(one)
  return operator === '=~' ? isMatch : !isMatch
}

/**
 * Returns the shape after `label_replace`: the possible values of the label that it writes. An empty value removes the
 * label.
 */
export function replaceLabel(
  shape: Shape,
  [target, replacement, source, pattern]: readonly [string, string, string, string],
): Shape {
  const before = valuesOf(shape, target)
  const sources = valuesOf(shape, source)
  const regex = new RegExp(`^(?:${pattern})$`, 's')
  const expand = (text: string) => text.replace(regex, replacement.replace(/\$\{(\w+)\}/g, '$$$1'))
  const after = new Set<string>()
  if (sources === undefined) {
    if (before === undefined || replacement.includes('$')) return withLabel(shape, target, undefined)
    for (const value of [...before, replacement]) after.add(value)
  } else {
    for (const value of sources) {
      if (regex.test(value)) after.add(expand(value))
      else if (target === source) after.add(value)
      else if (before === undefined) return withLabel(shape, target, undefined)
      else for (const old of before) after.add(old)
    }
  }
  const isRemoved = after.delete('')
  if (after.size === 0) return keep(shape, (label) => label !== target)
  return withLabel(shape, target, after, !isRemoved)
}

/** Returns the values of a label of a shape. A missing label is an empty one, as in Prometheus. */
function valuesOf({ labels, isOpen }: Shape, label: string): Values {
  if (labels.has(label)) return labels.get(label)
  return isOpen ? undefined : new Set([''])
}

/** Returns the shape without the metric's name: a computed value has none. */
export function withoutMetric({ metric, ...shape }: Shape): Shape {
  return shape
}
