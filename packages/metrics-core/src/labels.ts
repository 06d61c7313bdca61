/**
 * Label sets as exposition text. A series is identified by the text of its labels (`method="GET",status="200"`): the
 * escaping makes the text unambiguous, so two different label sets are never one series, and what identifies a series
 * is at once what a scrape prints.
 *
 * @module
 */
import { InvalidNameError } from './errors.ts'

/** What a label accepts; it becomes text by `String(value)`. Prometheus holds an empty label to be an absent one. */
export type LabelValue = string | number | boolean | bigint | null | undefined

/** Values by label name. An absent, `null` or `undefined` value is the empty string. */
export type Labels<Label extends string> = { readonly [name in Label]?: LabelValue }

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const ESCAPES: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }
const NEEDS_ESCAPE = /["\\\n\0\ud800-\udfff]/
// With the flag `u`, \p{Cs} matches lone surrogates only: UTF-8 cannot carry them, and would turn them all into one.
const ESCAPED = /["\\\n\0\p{Cs}]/gu

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
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : String(value)
  return NEEDS_ESCAPE.test(text) ? text.replace(ESCAPED, escapeCharacter) : text
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

/** The inverse of {@link formatLabels}: the label values of a series from the text that identifies it. */
export function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name, value] of text.matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/gs)) {
    labels[name!] = value!.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
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

/** A bound (`le`, `quantile`) is always written as a float: Prometheus 2 stores `1` as it stands, Prometheus 3 as `1.0`. */
export function formatBound(bound: number): string {
  const text = formatValue(bound)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}
