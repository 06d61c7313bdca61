/**
 * Label sets as exposition text. A series is identified by the text of its labels (`method="GET",status="200"`): the
 * escaping makes the text unambiguous, so two different label sets are never one series, and what identifies a series
 * is at once what a scrape prints.
 *
 * @module
 */
import { InvalidNameError } from '../errors.ts'

/** What a label accepts; it becomes text by `String(value)`. Prometheus holds an empty label to be an absent one. */
export type LabelValue = string | number | boolean | bigint | null | undefined

/** Values by label name. An absent, `null` or `undefined` value is the empty string. */
export type Labels<Label extends string> = { readonly [name in Label]?: LabelValue }

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const ESCAPES: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }
const NEEDS_ESCAPE = /["\\\n\0\ufffd\ud800-\udfff]/
// With the flag `u`, \p{Cs} matches lone surrogates only: UTF-8 cannot carry them, and would turn them all into one.
// U+FFFD is escaped only where what follows it would read as one of these escapes.
const NUMBERED = /[\0\p{Cs}]|\ufffd(?=0000|d[89a-f][0-9a-f]{2}|fffd)/gu
const ESCAPED = new RegExp(`["\\\\\\n]|${NUMBERED.source}`, 'gu')
/** One label in a label text. */
export const LABEL: RegExp = /([a-zA-Z0-9_]+)="([^"\\]*(?:\\.[^"\\]*)*)"/gs
const UNESCAPED = /\\(.)|\ufffd(0000|d[89a-f][0-9a-f]{2}|fffd)/gs

/** Throws where Prometheus would refuse the name of a metric. */
export function checkMetricName(name: string): void {
  if (typeof name !== 'string' || !METRIC_NAME.test(name)) throw new InvalidNameError('metric name', name)
}

/** Throws where Prometheus would refuse the name of a label, or keeps it for itself (`__…`; `le` and `quantile`). */
export function checkLabelName(name: string, reserved?: string): void {
  if (typeof name !== 'string' || !LABEL_NAME.test(name) || name === reserved) {
    throw new InvalidNameError('label name', name)
  }
}

/**
 * A label value as it stands between quotes in the exposition. A lone surrogate becomes U+FFFD and its number in
 * hexadecimal, NUL becomes U+FFFD and `0000` (Prometheus's scanner takes a NUL for the end of its input).
 */
export function escapeLabelValue(value: LabelValue): string {
  const text = labelValueText(value)
  return NEEDS_ESCAPE.test(text) ? text.replace(ESCAPED, escapeCharacter) : text
}

/** A label value as text. */
export function labelValueText(value: LabelValue): string {
  if (typeof value === 'string') return value
  // A function is what every object inherits under a name like `constructor`, not a value that was given.
  return value === undefined || value === null || typeof value === 'function' ? '' : String(value)
}

/** Characters of a label value as it is exposed. */
export function countCharacters(text: string): number {
  // Each escape by number makes five characters of one.
  return [...text].length + 4 * (text.match(NUMBERED)?.length ?? 0)
}

function escapeCharacter(character: string): string {
  return ESCAPES[character] ?? `\ufffd${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** `a="x",b="y"` from pairs, in the order given. */
export function formatLabels(labels: Record<string, LabelValue>): string {
  let text = ''
  for (const [name, value] of Object.entries(labels)) text += `${text && ','}${name}="${escapeLabelValue(value)}"`
  return text
}

/** The exact inverse of {@link formatLabels}: the label values of a series from the text that identifies it. */
export function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name, value] of text.matchAll(LABEL)) {
    labels[name!] = value!.replace(UNESCAPED, (_, character?: string, number?: string) => {
      if (number !== undefined) return String.fromCharCode(Number.parseInt(number, 16))
      return character === 'n' ? '\n' : character!
    })
  }
  return labels
}

/** A help text on its line: text 0.0.4 escapes backslash and newline, OpenMetrics the quote as well. */
export function escapeHelp(help: string, openMetrics: boolean): string {
  const text = help
    .replace(/\\/g, '\\\\')
    .replace(/\n/g, '\\n')
    .replace(/[\0\p{Cs}]/gu, '\ufffd')
  return openMetrics ? text.replace(/"/g, '\\"') : text
}

/** A number as Prometheus reads it. */
export function formatValue(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return `${value}`
}

/**
 * A bound (`le`, `quantile`) as Go writes a float: `1.0`, `1e-05`, `1.048576e+06`. Prometheus 2 stores what it reads,
 * Prometheus 3 rewrites it to this form (formatOpenMetricsFloat), so any other text would be two series.
 */
export function formatBound(bound: number): string {
  if (!Number.isFinite(bound)) return formatValue(bound)
  const [digits, exponent] = bound.toExponential().split('e')
  const power = Number(exponent)
  if (power < -4 || power >= 6) return `${digits}e${power < 0 ? '-' : '+'}${`${Math.abs(power)}`.padStart(2, '0')}`
  return Number.isInteger(bound) ? `${bound}.0` : `${bound}`
}
