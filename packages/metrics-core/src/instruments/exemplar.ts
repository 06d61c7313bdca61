/**
 * Exemplars: references from a series to a trace of one observation. Only OpenMetrics shows them.
 *
 * @module
 */

import { countCharacters, formatLabels, formatValue, isLabelName } from '../encoding/labels.ts'

/** Labels of an exemplar (`trace_id`, `span_id`). Names and values together have at most 128 characters. */
export type ExemplarLabels = Record<string, string>

/** One exemplar: its labels, the value observed, and the time in seconds since the epoch. */
export interface Exemplar {
  readonly labels: ExemplarLabels
  readonly value: number
  readonly timestamp: number
}

/** The limit of OpenMetrics 1.0. */
const MAX_CHARACTERS = 128

/** Characters that some scrapers do not accept in the value of an exemplar's label, escaped or not. */
const UNSAFE = /["\\\n\r]/g

/**
 * Creates an exemplar of this moment. Returns `undefined` for labels that OpenMetrics refuses and for none at all: the
 * observation counts, with or without it. Labels without a value are left out.
 */
export function createExemplar(labels: unknown, value: number): Exemplar | undefined {
  const own = exemplarLabels(labels)
  return own && { labels: own, value, timestamp: Date.now() / 1000 }
}

/** Returns a copy of the labels, or `undefined` for labels that OpenMetrics refuses and for none at all. */
export function exemplarLabels(labels: unknown): ExemplarLabels | undefined {
  if (typeof labels !== 'object' || labels === null) return undefined
  const own: ExemplarLabels = {}
  let length = 0
  for (const [name, given] of Object.entries(labels)) {
    if (given === undefined || given === null) continue
    if (!isLabelName(name) || typeof given === 'object' || typeof given === 'function') return undefined
    const text = String(given).replace(UNSAFE, '_')
    own[name] = text
    length += name.length + countCharacters(text)
  }
  return length === 0 || length > MAX_CHARACTERS ? undefined : own
}

/** Formats an exemplar as it follows the value of a sample: ` # {trace_id="…"} 0.3 1700000000.123`. */
export function formatExemplar({ labels, value, timestamp }: Exemplar): string {
  return ` # {${formatLabels(labels)}} ${formatValue(value)} ${timestamp}`
}
