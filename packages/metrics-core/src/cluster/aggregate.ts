/**
 * Metrics of several processes as one.
 *
 * @module
 */
import { type LabelValue, labelValueText } from '../encoding/labels.ts'
import type { Aggregator, Family, Sample } from '../instruments/family.ts'

/** The metrics of one process, in a form that survives being sent as JSON. */
export type Snapshot = Family[]

interface Combined {
  sample: Sample
  values: number[]
}

const COMBINE: Record<Aggregator, (values: number[]) => number> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  first: ([value]) => value!,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  average: (values) => COMBINE.sum(values) / values.length,
  omit: () => NaN,
}

/**
 * Combines the samples that have one name and one label set, as their family's aggregator says; the first process that
 * has a family describes it. The exemplar kept is the latest.
 */
export function aggregate(snapshots: readonly Snapshot[]): Snapshot {
  const families = new Map<string, { family: Family; samples: Map<string, Combined> }>()
  for (const family of snapshots.flat()) {
    if (family.aggregator === 'omit') continue
    const known = families.get(family.name) ?? { family, samples: new Map<string, Combined>() }
    families.set(family.name, known)
    for (const sample of family.values ?? []) {
      const key = JSON.stringify([sample.metricName, ...Object.entries(sample.labels ?? {}).sort()])
      const combined = known.samples.get(key) ?? { sample, values: [] }
      known.samples.set(key, combined)
      combined.values.push(Number(sample.value))
      const { exemplar } = sample
      if (exemplar && exemplar.timestamp > (combined.sample.exemplar?.timestamp ?? 0)) combined.sample = sample
    }
  }
  return Array.from(families.values(), ({ family, samples }) => {
    const combine = COMBINE[family.aggregator as Aggregator] ?? COMBINE.sum
    return {
      ...family,
      values: Array.from(samples.values(), ({ sample, values }) => ({ ...sample, value: combine(values) })),
    }
  })
}

/** What stays true of a process that has ended: what it counted. */
export function countedOnly(snapshot: Snapshot): Snapshot {
  const isCount = (type: string, { metricName = '' }: Sample) =>
    type === 'counter' || type === 'histogram' || (type === 'summary' && /_(sum|count)$/.test(metricName))
  return snapshot
    .map((family) => ({ ...family, values: (family.values ?? []).filter((sample) => isCount(family.type, sample)) }))
    .filter(({ values }) => values.length > 0)
}

/** A family with all labels in place and numbers that JSON can carry: it turns NaN and the infinities into `null`. */
export function toPortable(family: Family, defaultLabels: Record<string, LabelValue>): Family {
  return {
    ...family,
    values: (family.values ?? []).map(({ labels, sharedLabels, value, ...sample }) => ({
      ...sample,
      labels: toTexts({ ...defaultLabels, ...sharedLabels, ...labels }),
      value: (Number.isFinite(value) ? value : `${value}`) as number,
    })),
  }
}

function toTexts(labels: Record<string, LabelValue>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, labelValueText(value)]))
}
