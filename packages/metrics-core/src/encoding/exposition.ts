/**
 * The writer: every metric of a registry as text 0.0.4 or OpenMetrics 1.0, ours and those of the Prometheus clients,
 * without changing any of them, and without holding the event loop.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { formatExemplar } from '../instruments/exemplar.ts'
import { Histogram } from '../instruments/histogram.ts'
import { Instrument, type Sample } from '../instruments/instrument.ts'
import { escapeHelp, formatBound, formatLabels, formatValue, type LabelValue } from '../instruments/labels.ts'
import type { Format } from './negotiate.ts'
import { ByteWriter, toBytes } from './writer.ts'

/** A metric of prom-client or of `@prometheus-io/client`, as its `get()` describes it. */
export interface ForeignFamily {
  name: string
  help: string
  type: string
  unit?: string
  aggregator?: string
  values?: readonly ForeignSample[]
}

/** One sample of a {@link ForeignFamily}; clients keep labels that several samples share apart. */
export interface ForeignSample extends Omit<Sample, 'labels'> {
  labels?: Record<string, LabelValue>
  sharedLabels?: Record<string, LabelValue> | undefined
}

/** An instrument of ours, whatever its type. */
// biome-ignore lint/suspicious/noExplicitAny: an instrument takes its own series only, and the writer hands it no other.
export type AnyInstrument = Instrument<any, any>

/** What a rendering made. */
export interface Rendered {
  body: Buffer
  /** Samples, which is what Prometheus calls series. */
  series: number
}

/** After so many milliseconds of work the other work of the event loop has its turn. */
const SLICE_MS = 2
/** The clock is read each time that so many bytes were written. */
const CHECK_BYTES = 16_384

const NONE: ReadonlySet<string> = new Set()

/** Bytes for the first exposition of a registry. */
const SMALLEST_LENGTH = 1024
/** The next exposition is as long as this one, but for more digits and a few series; what is too much is garbage soon. */
const ROOM_TO_GROW = 1.03

/** Whether a metric of a registry was made by this package. */
export function isInstrument(metric: unknown): metric is AnyInstrument {
  return metric instanceof Instrument
}

/** Makes a renderer for one registry; it remembers how large the last exposition was, and which names clash. */
export function createRenderer(): (
  families: Array<AnyInstrument | ForeignFamily>,
  format: Format,
  defaultLabels: Record<string, LabelValue>,
) => Promise<Rendered> {
  let expectedLength = SMALLEST_LENGTH
  const findClashes = createClashFinder()

  return async function render(all, format, defaultLabels) {
    const openMetrics = format === 'openMetrics'
    const clashing = openMetrics ? findClashes(all) : NONE
    const writer = new ByteWriter(expectedLength)
    let series = 0
    let sliceEnd = performance.now() + SLICE_MS
    let checkAt = CHECK_BYTES

    for (const family of all) {
      const isDegraded = openMetrics && (clashing.has(familyName(family)) || isIrregular(family))
      if (!isInstrument(family)) {
        for (const part of isDegraded ? splitFamily(family) : [family]) await writeForeign(part, family.type)
      } else if (isDegraded) {
        for (const part of family.unknownFamilies) {
          writer.text(header(part.name, family.help, 'unknown', undefined, openMetrics))
          await writeSeries(family, part)
        }
      } else {
        const { exposedName, help, type, unit, headers } = family
        headers[format] ??= toBytes(header(exposedName, help, type, unit, openMetrics))
        writer.copy(headers[format])
        await writeSeries(family, family)
      }
    }
    if (openMetrics) writer.text('# EOF\n')
    expectedLength = Math.ceil(writer.length * ROOM_TO_GROW) + SMALLEST_LENGTH
    return { body: writer.finish(), series }

    /** Writes the series of an instrument, by its own method or by that of a part. */
    async function writeSeries(family: AnyInstrument, by: Pick<AnyInstrument, 'write'>): Promise<void> {
      const list = family.series.list()
      // Those that are there now: a series that is removed and made anew meanwhile would be written twice.
      const { length } = list
      for (let index = 0; index < length; index += 1) {
        const one = list[index]
        if (one === undefined) continue
        series += by.write(writer, one, openMetrics)
        if (writer.length > checkAt && isLate()) await pause()
      }
    }

    /** `type` is what the samples were made as. */
    async function writeForeign(family: ForeignFamily, type: string): Promise<void> {
      const { name, help, unit, values = [] } = family
      const exemplars = openMetrics && (family.type === 'counter' || family.type === 'histogram')
      // A metric of an application's own making can have anything as its help.
      writer.text(header(name, `${help}`, family.type, unit, openMetrics))
      for (const sample of values) {
        writer.text(sampleText(name, type, sample, defaultLabels, exemplars))
        series += 1
        if (writer.length > checkAt && isLate()) await pause()
      }
    }

    function isLate(): boolean {
      checkAt = writer.length + CHECK_BYTES
      return performance.now() > sliceEnd
    }

    async function pause(): Promise<void> {
      await setImmediate()
      sliceEnd = performance.now() + SLICE_MS
    }
  }
}

/**
 * OpenMetrics refuses whole expositions for what text 0.0.4 has no opinion of: a counter without `_total`, sums and
 * quantiles below zero, a name that a suffix of another type lays claim to (gauge `jobs` beside counter `jobs_total`).
 * Such a family is exposed as type `unknown`, one for each name of its samples: the numbers are the same.
 */
function splitFamily({ name, help, values = [] }: ForeignFamily): ForeignFamily[] {
  if (values.length === 0) return [{ name, help, type: 'unknown' }]
  const samples = new Map<string, ForeignSample[]>()
  for (const sample of values) {
    const { metricName = name } = sample
    const known = samples.get(metricName)
    if (known) known.push(sample)
    else samples.set(metricName, [sample])
  }
  return Array.from(samples, ([name, values]) => ({ name, help, type: 'unknown', values }))
}

/** Remembers the answer for as long as the families are the same: it depends on their names and types alone. */
function createClashFinder(): (families: Array<AnyInstrument | ForeignFamily>) => ReadonlySet<string> {
  let lastKey = ''
  let clashing = new Set<string>()

  return function findClashes(families) {
    let key = ''
    for (const family of families) key += `${family.type} ${familyName(family)} `
    if (key === lastKey) return clashing
    lastKey = key
    const claims = new Map<string, number>()
    for (const name of families.flatMap(claimedNames)) claims.set(name, (claims.get(name) ?? 0) + 1)
    const isClashing = (family: AnyInstrument | ForeignFamily) =>
      family.type !== 'gauge' && claimedNames(family).some((name) => claims.get(name)! > 1)
    clashing = new Set(families.filter(isClashing).map(familyName))
    return clashing
  }
}

/** The names that a family takes in OpenMetrics. */
function claimedNames(family: AnyInstrument | ForeignFamily): string[] {
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

function isIrregular(family: AnyInstrument | ForeignFamily): boolean {
  if (family.type === 'counter' && !familyName(family).endsWith('_total')) return true
  if (family instanceof Histogram) {
    for (const { sum, bounds } of family.series.values()) {
      if (!(sum >= 0) || bounds.values[0]! < 0) return true
    }
  }
  if (isInstrument(family) || !['counter', 'histogram', 'summary'].includes(family.type)) return false
  return (family.values ?? []).some(({ value, labels }) => !(value >= 0) || Number(labels?.le) < 0)
}

/** The name of a family in text 0.0.4. */
export function familyName(family: AnyInstrument | ForeignFamily): string {
  return isInstrument(family) ? family.exposedName : family.name
}

function header(name: string, help: string, type: string, unit: string | undefined, openMetrics: boolean): string {
  const family = openMetrics && type === 'counter' ? name.replace(/_total$/, '') : name
  const typeName = openMetrics && type === 'untyped' ? 'unknown' : type
  const unitLine = openMetrics && unit !== undefined ? `# UNIT ${family} ${unit}\n` : ''
  return `# HELP ${family} ${escapeHelp(help, openMetrics)}\n# TYPE ${family} ${typeName}\n${unitLine}`
}

/** The label that is a number, and is written in one way whatever its text: of these two types alone. */
const BOUND_LABELS: Record<string, string> = { histogram: 'le', summary: 'quantile' }

function sampleText(
  family: string,
  type: string,
  { metricName = family, labels, sharedLabels, value, exemplar }: ForeignSample,
  defaultLabels: Record<string, LabelValue>,
  exemplars: boolean,
): string {
  const all: Record<string, LabelValue> = { ...defaultLabels, ...sharedLabels, ...labels }
  const bound = BOUND_LABELS[type]
  if (bound !== undefined) {
    const number = Number(all[bound] ?? NaN)
    if (!Number.isNaN(number)) all[bound] = formatBound(number)
  }
  const text = formatLabels(all)
  const sample = `${metricName}${text && `{${text}}`} ${formatValue(Number(value))}`
  if (!exemplars || !exemplar) return `${sample}\n`
  return `${sample}${formatExemplar({ labels: exemplar.labelSet, value: exemplar.value, timestamp: exemplar.timestamp })}\n`
}
