/**
 * Checks what the metrics of other people's classes return. Prometheus drops a whole exposition for one sample that it
 * cannot read, so a family with one is left out.
 *
 * @module
 */
import { isLabelName, isMetricName, type LabelValue, labelValueText } from '../encoding/labels.ts'
import { exemplarLabels } from '../instruments/exemplar.ts'
import type { ClientMetric, Family, Sample } from '../instruments/family.ts'

/** The types of both formats. Those that text 0.0.4 does not know are written there as {@link textType}. */
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped', 'unknown', 'info', 'stateset', 'gaugehistogram']

/** The labels that belong to histograms and summaries, and that other metrics may have too. */
const BOUND_LABELS = ['le', 'quantile']

/** A family that Prometheus would refuse. */
export class ForeignMetricError extends TypeError {}

/** Returns the name under which text 0.0.4 knows a type. */
export function textType(type: string): string {
  if (type === 'info' || type === 'stateset') return 'gauge'
  return type === 'unknown' || type === 'gaugehistogram' ? 'untyped' : type
}

/**
 * Returns a copy of a family that can be rendered and sent. Throws a {@link ForeignMetricError} that names the first
 * part that Prometheus would refuse. Help may be anything; an exemplar that OpenMetrics refuses is left out.
 */
export function checkFamily(metric: ClientMetric, family: Family): Family {
  const name = isMetricName(metric.name) ? metric.name : family.name
  if (!isMetricName(name)) throw refused('a name', name)
  const { type } = family
  if (!TYPES.includes(type)) throw refused('a type', type)
  const values = Array.from(family.values ?? [], checkSample)
  // The clients' own classes keep their samples by label set.
  if (!('hashMap' in metric)) checkDistinct(values)
  const { unit, aggregator } = family
  return {
    name,
    help: toText(family.help, 'a help text'),
    type,
    values,
    ...(typeof unit === 'string' && name.replace(/_total$/, '').endsWith(`_${unit}`) && { unit }),
    ...(typeof aggregator === 'string' && { aggregator }),
  }
}

function checkSample(sample: Sample): Sample {
  if (typeof sample !== 'object' || sample === null) throw refused('samples', sample)
  const { metricName, exemplar } = sample
  if (metricName !== undefined && !isMetricName(metricName)) throw refused('names of samples', metricName)
  return {
    labels: checkLabels({ ...sample.sharedLabels, ...sample.labels }),
    value: checkValue(sample.value),
    ...(metricName !== undefined && { metricName }),
    ...checkExemplar(exemplar),
  }
}

function checkLabels(labels: Record<string, LabelValue>): Record<string, LabelValue> {
  for (const [name, value] of Object.entries(labels)) {
    if (!isLabelName(name) && !BOUND_LABELS.includes(name)) throw refused('label names', name)
    labels[name] = typeof value === 'number' ? value : toText(() => labelValueText(value), 'label values')
  }
  return labels
}

/** A sample without a value is exposed as NaN. */
function checkValue(value: unknown): number {
  if (typeof value === 'number' || value === undefined) return Number(value)
  const number = typeof value === 'bigint' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : NaN
  if (Number.isNaN(number)) throw refused('values', value)
  return number
}

function checkExemplar(exemplar: Sample['exemplar']): Pick<Sample, 'exemplar'> {
  const labelSet = exemplarLabels(exemplar?.labelSet)
  if (labelSet === undefined || !Number.isFinite(exemplar!.value) || !(exemplar!.timestamp > 0)) return {}
  return { exemplar: { labelSet, value: exemplar!.value, timestamp: exemplar!.timestamp } }
}

function checkDistinct(samples: readonly Sample[]): void {
  const known = new Set<string>()
  for (const { metricName, labels = {} } of samples) {
    const key = JSON.stringify([metricName, ...Object.entries(labels).sort()])
    if (known.has(key)) throw refused('distinct samples', key)
    known.add(key)
  }
}

/** Text of any value, or of what a function returns. Some objects have none. */
function toText(value: unknown, what: string): string {
  try {
    return String(typeof value === 'function' ? value() : (value ?? ''))
  } catch {
    throw refused(what, typeof value)
  }
}

function refused(expected: string, actual: unknown): ForeignMetricError {
  return new ForeignMetricError(`Expected ${expected} that Prometheus accepts, got ${String(actual)}`)
}
