/**
 * Exemplars: references from a series to a trace of one observation. Only OpenMetrics shows them.
 *
 * @module
 */

import { checkLabelName, countCharacters, formatLabels, formatValue } from '../encoding/labels.ts'
import { ExemplarTooLongError } from '../errors.ts'

/** Labels of an exemplar (`trace_id`, `span_id`). Names and values together have at most 128 characters. */
export type ExemplarLabels = Record<string, string>

/** One exemplar: its labels, the value observed, and the time in seconds since the epoch. */
export interface Exemplar {
  readonly labels: ExemplarLabels
  readonly value: number
  readonly timestamp: number
}

/**
 * Creates an exemplar of this moment. Throws for a label name that Prometheus refuses, and for more than 128 characters
 * (OpenMetrics 1.0).
 */
export function createExemplar(labels: ExemplarLabels, value: number): Exemplar {
  // A copy, since the caller may reuse its object.
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

/** Formats an exemplar as it follows the value of a sample: ` # {trace_id="…"} 0.3 1700000000.123`. */
export function formatExemplar({ labels, value, timestamp }: Exemplar): string {
  return ` # {${formatLabels(labels)}} ${formatValue(value)} ${timestamp}`
}
