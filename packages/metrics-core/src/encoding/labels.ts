/**
 * Label sets and values as exposition text. A series is identified by its label text (`method="GET",status="200"`),
 * which is also what a scrape prints. Escaping makes it unambiguous, so different label sets are never the same series.
 * See docs/decisions/0002-a-series-is-its-exposition-text.md.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { InvalidNameError } from '../errors.ts'

/** A label value; `String(value)` is exposed. Prometheus treats an empty label as an absent one. */
export type LabelValue = string | number | boolean | bigint | null | undefined

/** Values by label name. An absent, `null` or `undefined` value is the empty string. */
export type Labels<Label extends string> = { readonly [name in Label]?: LabelValue }

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const ESCAPES: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }
const NEEDS_ESCAPE = /["\\\n\0\ufffd\ud800-\udfff]/
// With the flag `u`, \p{Cs} matches lone surrogates only. UTF-8 cannot represent them: all would become one character.
// U+FFFD is escaped only where it would read as one of these escapes together with the text after it.
const NUMBERED = /[\0\p{Cs}]|\ufffd(?=0000|d[89a-f][0-9a-f]{2}|fffd)/gu
const ESCAPED = new RegExp(`["\\\\\\n]|${NUMBERED.source}`, 'gu')
/** Matches one label in a label text. */
export const LABEL: RegExp = /([a-zA-Z0-9_]+)="([^"\\]*(?:\\.[^"\\]*)*)"/gs
const UNESCAPED = /\\(.)|\ufffd(0000|d[89a-f][0-9a-f]{2}|fffd)/gs

/** Throws when Prometheus would refuse the name of a metric. */
export function checkMetricName(name: string): void {
  if (!isMetricName(name)) throw new InvalidNameError('metric name', name)
}

/** Throws when Prometheus would refuse the name of a label, or reserves it (`__…`; `le` and `quantile`). */
export function checkLabelName(name: string, reserved?: string): void {
  if (typeof name !== 'string' || !LABEL_NAME.test(name) || name === reserved) {
    throw new InvalidNameError('label name', name)
  }
}

/** Returns whether every metric can have a label of that name: `le` and `quantile` belong to some types. */
export function isLabelName(name: string): boolean {
  return LABEL_NAME.test(name) && name !== 'le' && name !== 'quantile'
}

/** Returns whether Prometheus accepts the name of a metric. */
export function isMetricName(name: unknown): name is string {
  return typeof name === 'string' && METRIC_NAME.test(name)
}

/**
 * Escapes a label value for the exposition. A lone surrogate becomes U+FFFD and its number in hexadecimal. NUL becomes
 * U+FFFD and `0000`: Prometheus's scanner takes a NUL for the end of its input.
 */
export function escapeLabelValue(value: LabelValue): string {
  const text = labelValueText(value)
  return NEEDS_ESCAPE.test(text) ? text.replace(ESCAPED, escapeCharacter) : text
}

/** Returns a label value as a string, not escaped. */
export function labelValueText(value: LabelValue): string {
  if (typeof value === 'string') return value
  // A function is not a given value: every object inherits one under a name like `constructor`.
  return value === undefined || value === null || typeof value === 'function' ? '' : String(value)
}

/** Hexadecimal digits of the hash that keeps truncated values distinct: 128 bits, which nobody can make collide. */
const HASH_DIGITS = 32

/** Smallest length to which a value can be cut: some of it, an ellipsis, and the hash. */
export const MIN_LABEL_LENGTH = 64

/**
 * Cuts a label value to `length` UTF-16 units: its beginning, an ellipsis, and the first 32 hexadecimal digits of its
 * SHA-256. Different values stay different.
 */
export function truncate(text: string, length: number): string {
  const hash = createHash('sha256').update(text, 'utf16le').digest('hex').slice(0, HASH_DIGITS)
  return `${text.slice(0, length - HASH_DIGITS - 1)}…${hash}`
}

/** Counts the characters of a label value as it is exposed. */
export function countCharacters(text: string): number {
  // An escape by number replaces one character by five.
  return [...text].length + 4 * (text.match(NUMBERED)?.length ?? 0)
}

function escapeCharacter(character: string): string {
  return ESCAPES[character] ?? `\ufffd${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Formats labels as `a="x",b="y"`, in the order given. */
export function formatLabels(labels: Record<string, LabelValue>): string {
  let text = ''
  for (const [name, value] of Object.entries(labels)) text += `${text && ','}${name}="${escapeLabelValue(value)}"`
  return text
}

/** Parses a label text: the exact inverse of {@link formatLabels}. */
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

/** Escapes a help text: backslash and newline, in OpenMetrics also the quote. */
export function escapeHelp(help: string, openMetrics: boolean): string {
  const text = help
    .replace(/\\/g, '\\\\')
    .replace(/\n/g, '\\n')
    .replace(/[\0\p{Cs}]/gu, '\ufffd')
  return openMetrics ? text.replace(/"/g, '\\"') : text
}

/** Formats a number as Prometheus reads it. */
export function formatValue(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return `${value}`
}

/**
 * Formats a bucket boundary or quantile as Go writes a float: `1.0`, `1e-05`, `1.048576e+06`. Prometheus 2 stores the
 * text as it is, Prometheus 3 rewrites it to this form (formatOpenMetricsFloat): any other text would make two series.
 */
export function formatBound(bound: number): string {
  if (!Number.isFinite(bound)) return formatValue(bound)
  const [digits, exponent] = bound.toExponential().split('e')
  const power = Number(exponent)
  if (power < -4 || power >= 6) return `${digits}e${power < 0 ? '-' : '+'}${`${Math.abs(power)}`.padStart(2, '0')}`
  return Number.isInteger(bound) ? `${bound}.0` : `${bound}`
}
