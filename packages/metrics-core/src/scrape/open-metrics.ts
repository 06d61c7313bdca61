/**
 * What OpenMetrics 1.0 refuses and text 0.0.4 allows: a counter without `_total`, sums and quantiles below zero, and a
 * name that another type claims by a suffix (gauge `jobs` beside counter `jobs_total`). Prometheus drops the whole
 * exposition for one of them, so such a family is exposed as type `unknown`, one family for each name of its samples.
 * The numbers are the same.
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
    for (const { sum, bounds } of family.series.values()) {
      if (!(sum >= 0) || bounds.values[0]! < 0) return true
    }
  }
  if (isInstrument(family) || !['counter', 'histogram', 'summary'].includes(family.type)) return false
  return (family.values ?? []).some(({ value, labels }) => !(value >= 0) || Number(labels?.le) < 0)
}
