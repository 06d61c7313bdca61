/**
 * What OpenMetrics 1.0 refuses and text 0.0.4 allows: a counter without `_total`, buckets and quantiles below zero, and
 * a name that another type claims by a suffix (gauge `jobs` beside counter `jobs_total`). Prometheus drops the whole
 * exposition for one of them, so such a family is exposed as type `unknown`, one family for each name of its samples.
 * The numbers are the same. Only a sum below zero is left out, with the count, which is that of the bucket +Inf.
 *
 * @module
 */
import type { Family, Sample } from '../instruments/family.ts'
import { Histogram } from '../instruments/histogram.ts'
import { type AnyInstrument, familyName, isInstrument } from '../instruments/instrument.ts'

/** Splits a family into families of type `unknown`, one for each name of its samples. */
export function splitFamily({ name, help, values = [] }: Family): Family[] {
  if (values.length === 0) return [{ name, help, type: 'unknown' }]
  const samples = new Map<string, Sample[]>()
  for (const sample of values) {
    const { metricName = name } = sample
    const known = samples.get(metricName)
    if (known) known.push(sample)
    else samples.set(metricName, [sample])
  }
  return Array.from(samples, ([name, values]) => ({ name, help, type: 'unknown', values }))
}

/**
 * Creates a function that returns the names of families whose names clash. It remembers its last answer, which depends
 * on the names and types alone.
 */
export function createClashFinder(): (families: Array<AnyInstrument | Family>) => ReadonlySet<string> {
  let lastKey = ''
  let clashing = new Set<string>()

  return function findClashes(families) {
    let key = ''
    for (const family of families) key += `${family.type} ${familyName(family)} `
    if (key === lastKey) return clashing
    lastKey = key
    const claims = new Map<string, number>()
    for (const name of families.flatMap(claimedNames)) claims.set(name, (claims.get(name) ?? 0) + 1)
    const isClashing = (family: AnyInstrument | Family) =>
      family.type !== 'gauge' && claimedNames(family).some((name) => claims.get(name)! > 1)
    clashing = new Set(families.filter(isClashing).map(familyName))
    return clashing
  }
}

/** Returns the names that a family takes in OpenMetrics. */
function claimedNames(family: AnyInstrument | Family): string[] {
  const name = familyName(family)
  switch (family.type) {
    case 'counter': {
      const base = name.replace(/_total$/, '')
      return [base, `${base}_total`, `${base}_created`]
    }
    case 'histogram':
      return ['', '_bucket', '_sum', '_count', '_created'].map((suffix) => name + suffix)
    case 'summary':
      return ['', '_sum', '_count', '_created'].map((suffix) => name + suffix)
    default:
      return [name]
  }
}

/** Returns whether OpenMetrics refuses a family whatever else is exposed. */
export function isIrregular(family: AnyInstrument | Family): boolean {
  if (family.type === 'counter' && !familyName(family).endsWith('_total')) return true
  if (family instanceof Histogram) {
    for (const { bounds } of family.series.values()) if (bounds.values[0]! < 0) return true
  }
  if (isInstrument(family)) return false
  if (['info', 'stateset', 'gaugehistogram'].includes(family.type)) return true
  if (!['counter', 'histogram', 'summary'].includes(family.type)) return false
  const isSum = ({ metricName }: Sample) => family.type === 'histogram' && metricName === `${family.name}_sum`
  return (family.values ?? []).some((sample) => !(sample.value >= 0 || isSum(sample)) || Number(sample.labels?.le) < 0)
}

/**
 * Returns a client's histogram without the sums and counts of label sets whose sum is below zero. Its type stays,
 * whatever is observed.
 */
export function withoutNegativeSums(family: Family): Family {
  if (family.type !== 'histogram') return family
  const { name, values = [] } = family
  const keyOf = ({ labels: { le: _le, ...labels } = {} }: Sample) => JSON.stringify(Object.entries(labels).sort())
  const isNegative = ({ metricName, value }: Sample) => metricName === `${name}_sum` && !(value >= 0)
  const negative = new Set(values.filter(isNegative).map(keyOf))
  if (negative.size === 0) return family
  const isBucket = ({ metricName }: Sample) => metricName === `${name}_bucket`
  return { ...family, values: values.filter((sample) => isBucket(sample) || !negative.has(keyOf(sample))) }
}
