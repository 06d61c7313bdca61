/**
 * Renders the families of a registry as text 0.0.4 or OpenMetrics 1.0: instruments and the clients' own metrics alike,
 * without changing any of them, and yielding to the event loop every few milliseconds.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { escapeHelp, formatBound, formatLabels, formatValue, type LabelValue } from '../encoding/labels.ts'
import type { Format } from '../encoding/negotiate.ts'
import { ByteWriter, toBytes } from '../encoding/writer.ts'
import { formatExemplar } from '../instruments/exemplar.ts'
import type { Family, Sample } from '../instruments/family.ts'
import { type AnyInstrument, familyName, isInstrument } from '../instruments/instrument.ts'
import { textType } from './foreign.ts'
import { createClashFinder, isIrregular, splitFamily, withoutNegativeSums } from './open-metrics.ts'

/** A rendered exposition. */
export interface Rendered {
  body: Buffer
  /** Number of samples, which Prometheus calls series. */
  series: number
}

/** Milliseconds of work after which the renderer yields to the event loop. */
const SLICE_MS = 2
/** Bytes written between two readings of the clock. */
const CHECK_BYTES = 16_384

const NONE: ReadonlySet<string> = new Set()

/** Buffer size for the first exposition of a registry, in bytes. */
const SMALLEST_LENGTH = 1024
/** Growth expected from one exposition to the next: more digits and a few series. */
const ROOM_TO_GROW = 1.03

/** Creates a renderer for one registry. It remembers the size of the last exposition and the names that clash. */
export function createRenderer(): (
  families: Array<AnyInstrument | Family>,
  format: Format,
  constantLabels: Record<string, LabelValue>,
) => Promise<Rendered> {
  let expectedLength = SMALLEST_LENGTH
  const findClashes = createClashFinder()

  return async function render(all, format, constantLabels) {
    const openMetrics = format === 'openMetrics'
    const clashing = openMetrics ? findClashes(all) : NONE
    const writer = new ByteWriter(expectedLength)
    let series = 0
    let sliceEnd = performance.now() + SLICE_MS
    let checkAt = CHECK_BYTES

    for (const family of all) {
      const isDegraded = openMetrics && (clashing.has(familyName(family)) || isIrregular(family))
      if (!isInstrument(family)) {
        const whole = openMetrics ? withoutNegativeSums(family) : family
        for (const part of isDegraded ? splitFamily(family) : [whole]) await writeFamily(part, family.type)
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

    /** Writes the series of an instrument, with its own `write` or with that of a part. */
    async function writeSeries(family: AnyInstrument, by: Pick<AnyInstrument, 'write'>): Promise<void> {
      const list = family.series.list()
      // Only the series there are now: one that is removed and created again while we yield would be written twice.
      const { length } = list
      for (let index = 0; index < length; index += 1) {
        const one = list[index]
        if (one === undefined) continue
        series += by.write(writer, one, openMetrics)
        if (writer.length > checkAt && isLate()) await pause()
      }
    }

    /** `type` is the type of the family before it was split. */
    async function writeFamily(family: Family, type: string): Promise<void> {
      const { name, help, unit, values = [] } = family
      const exemplars = openMetrics && (family.type === 'counter' || family.type === 'histogram')
      writer.text(header(name, help, family.type, unit, openMetrics))
      for (const sample of values) {
        writer.text(sampleText(name, type, sample, constantLabels, exemplars))
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

function header(name: string, help: string, type: string, unit: string | undefined, openMetrics: boolean): string {
  const family = openMetrics && type === 'counter' ? name.replace(/_total$/, '') : name
  const openMetricsType = type === 'untyped' ? 'unknown' : type
  const typeName = openMetrics ? openMetricsType : textType(type)
  const unitLine = openMetrics && unit !== undefined ? `# UNIT ${family} ${unit}\n` : ''
  return `# HELP ${family} ${escapeHelp(help, openMetrics)}\n# TYPE ${family} ${typeName}\n${unitLine}`
}

/** The label that holds a number, by metric type. It is rewritten to one form, whatever its text. */
const BOUND_LABELS: Record<string, string> = { histogram: 'le', summary: 'quantile' }

function sampleText(
  family: string,
  type: string,
  { metricName = family, labels, sharedLabels, value, exemplar }: Sample,
  constantLabels: Record<string, LabelValue>,
  exemplars: boolean,
): string {
  const all: Record<string, LabelValue> = { ...constantLabels, ...sharedLabels, ...labels }
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
