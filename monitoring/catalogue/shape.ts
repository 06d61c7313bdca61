/**
 * What a PromQL expression yields: which labels, which values they can have, and whether it counts. The lint finds what
 * is wrong while it works this out, from the leaves of the syntax tree to its root.
 *
 * @module
 */

/** The possible values of a label; `undefined` when there is no finite set. */
export type Values = ReadonlySet<string> | undefined

export interface Shape {
  /** `counter` also for the parts of a histogram. */
  kind: 'counter' | 'gauge' | 'scalar' | 'string'
  /** Labels that a series can have. */
  labels: ReadonlyMap<string, Values>
  /** Labels that every series has. */
  certain: ReadonlySet<string>
  /** It is of a metric that the catalogue does not describe: any label is possible. */
  isOpen: boolean
  /** Upper bounds, of the buckets of a histogram. */
  buckets?: readonly number[]
  /** Upper bounds of the histogram that this is a quantile of. */
  quantileOf?: readonly number[]
  /** The number, of a constant. */
  constant?: number
  /** The text, of a string. */
  text?: string
  /** The name of the metric, of what is still a metric and nothing computed. */
  metric?: string
  /** Every process reads it from the same broker. */
  isShared?: boolean
  /** It is read at another time than now. */
  hasOffset?: boolean
}

/** What a label matcher says. */
export interface Matcher {
  label: string
  operator: string
  value: string
}

export function vector(
  kind: 'counter' | 'gauge',
  labels: Iterable<readonly [string, Values]>,
  rest: Partial<Shape> = {},
): Shape {
  const map = new Map(labels)
  return { kind, labels: map, certain: new Set(map.keys()), isOpen: false, ...rest }
}

/** A vector without labels. */
export function single(): Shape {
  return vector('gauge', [])
}

export function scalar(constant?: number): Shape {
  return { ...single(), kind: 'scalar', ...(constant === undefined ? {} : { constant }) }
}

export function isVector({ kind }: Shape): boolean {
  return kind === 'counter' || kind === 'gauge'
}

/** Whether series of this shape can have a label. */
export function hasLabel({ labels, isOpen }: Shape, label: string): boolean {
  return isOpen || labels.has(label)
}

/** Whether every series of this shape has a label. */
export function isCertain({ certain, isOpen }: Shape, label: string): boolean {
  return isOpen || certain.has(label)
}

/** The shape with some of its labels. */
export function keep(shape: Shape, isKept: (label: string) => boolean): Shape {
  return {
    ...shape,
    labels: new Map([...shape.labels].filter(([label]) => isKept(label))),
    certain: new Set([...shape.certain].filter(isKept)),
  }
}

/** The shape with one more label, or with other values of one that it has. */
export function withLabel(shape: Shape, label: string, values: Values, isCertain = true): Shape {
  const certain = new Set(shape.certain)
  if (isCertain) certain.add(label)
  return { ...shape, labels: new Map([...shape.labels, [label, values]]), certain }
}

/** Series of either shape. */
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

/** The values that a matcher leaves. */
export function narrow(values: Values, { operator, value }: Matcher): Values {
  if (values === undefined) return operator === '=' ? new Set([value]) : undefined
  return new Set([...values].filter((one) => matches(one, operator, value)))
}

export function matches(one: string, operator: string, value: string): boolean {
  if (operator === '=') return one === value
  if (operator === '!=') return one !== value
  // Prometheus anchors its expressions.
  const isMatch = new RegExp(`^(?:${value})$`, 's').test(one)
  return operator === '=~' ? isMatch : !isMatch
}

/** What `label_replace` makes of the values of the label that it writes; the text '' removes the label. */
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

/** The values of a label that a shape has; the empty text for one that it has not. */
function valuesOf({ labels, isOpen }: Shape, label: string): Values {
  if (labels.has(label)) return labels.get(label)
  return isOpen ? undefined : new Set([''])
}
