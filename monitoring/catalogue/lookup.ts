/**
 * What the names in this repository's queries stand for.
 *
 * @module
 */
import { createLookup, type Lookup, type Rule } from '@data20/promql-lint'
import { foreignMetrics } from './foreign.ts'
import { catalogue, TARGET_LABELS } from './metrics.ts'

/** Returns a lookup of the catalogue, of the foreign metrics and of the recording rules among `rules`. */
export function createCatalogueLookup(rules: readonly Rule[]): Lookup {
  return createLookup([...catalogue, ...foreignMetrics], rules, { targetLabels: TARGET_LABELS })
}
