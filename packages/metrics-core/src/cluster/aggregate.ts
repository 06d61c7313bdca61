/**
 * Combines the metrics of several processes into one set.
 *
 * @module
 */
import { type LabelValue, labelValueText } from '../encoding/labels.ts'
import type { Aggregator, Family, Sample } from '../instruments/family.ts'

/** The metrics of one process, in a form that JSON preserves. */
export type Snapshot = Family[]

interface Combined {
  sample: Sample
  values: number[]
}

const COMBINE: Record<Aggregator, (values: number[]) => number> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  first: ([value]) => value!,
  min: (values) => Math.min(...known(values)),
  max: (values) => Math.max(...known(values)),
  average: (values) => COMBINE.sum(values) / values.length,
  omit: () => NaN,
}

/** Returns the values that are numbers: the NaN of one process does not hide what the others know. */
function known(values: number[]): number[] {
  const numbers = values.filter((value) => !Number.isNaN(value))
  return numbers.length > 0 ? numbers : values
}

/**
 * Combines samples of the same name and label set by the aggregator of their family. Help, type and aggregator are
 * those of the first process that has the family. The latest exemplar is kept.
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
    const name = family.aggregator ?? 'sum'
    const combine = Object.hasOwn(COMBINE, name) ? COMBINE[name as Aggregator] : COMBINE.sum
    return {
      ...family,
      values: Array.from(samples.values(), ({ sample, values }) => ({ ...sample, value: combine(values) })),
    }
  })
}

/** Returns the part of a snapshot that stays true after its process has ended: everything counted. */
export function countedOnly(snapshot: Snapshot): Snapshot {
  const isCount = (type: string, { metricName = '' }: Sample) =>
    type === 'counter' || type === 'histogram' || (type === 'summary' && /_(sum|count)$/.test(metricName))
  return snapshot
    .map((family) => ({ ...family, values: (family.values ?? []).filter((sample) => isCount(family.type, sample)) }))
    .filter(({ values }) => values.length > 0)
}

/**
 * Returns a family with all labels in place, and with NaN and the infinities as strings, since JSON turns them into
 * `null`.
 */
export function toPortable(family: Family, defaultLabels: Record<string, LabelValue>): Family {
  return {
    ...family,
    values: (family.values ?? []).map(({ labels, sharedLabels, value, ...sample }) => ({
      ...sample,
      labels: toStrings({ ...defaultLabels, ...sharedLabels, ...labels }),
      value: (Number.isFinite(value) ? value : `${value}`) as number,
    })),
  }
}

function toStrings(labels: Record<string, LabelValue>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, labelValueText(value)]))
}
