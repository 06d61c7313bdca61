/**
 * Exemplars: a trace that stands for the observations of a series, shown in OpenMetrics only.
 *
 * @module
 */

import { checkLabelName, countCharacters, formatLabels, formatValue } from '../encoding/labels.ts'
import { ExemplarTooLongError } from '../errors.ts'

/** Labels of an exemplar (`trace_id`, `span_id`): at most 128 characters in names and values together. */
export type ExemplarLabels = Record<string, string>

/** One exemplar: labels, the value observed, and the time in seconds since the epoch. */
export interface Exemplar {
  readonly labels: ExemplarLabels
  readonly value: number
  readonly timestamp: number
}

/** Throws for a label name that Prometheus refuses, and for more than the 128 characters that OpenMetrics 1.0 allows. */
export function createExemplar(labels: ExemplarLabels, value: number): Exemplar {
  // A copy: the caller may use its object again.
  const own: ExemplarLabels = {}
  let length = 0
  for (const [name, given] of Object.entries(labels)) {
    checkLabelName(name)
    const text = String(given)
    own[name] = text
    length += name.length + countCharacters(text)
  }
  if (length > 128) throw new ExemplarTooLongError(length)
  return { labels: own, value, timestamp: Date.now() / 1000 }
}

/** ` # {trace_id="…"} 0.3 1700000000.123`, as it follows a sample's value. */
export function formatExemplar({ labels, value, timestamp }: Exemplar): string {
  return ` # {${formatLabels(labels)}} ${formatValue(value)} ${timestamp}`
}
