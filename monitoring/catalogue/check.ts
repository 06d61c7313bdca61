/**
 * Lints every PromQL expression of the repository: `pnpm --filter @data20/monitoring promql`.
 *
 * @module
 */
import { formatFinding, lintSources } from '@data20/promql-lint'
import { createCatalogueLookup } from './lookup.ts'
import { root } from './root.ts'
import { findSources, readRules } from './sources.ts'

const sources = findSources(root)
const findings = lintSources(sources, createCatalogueLookup(readRules(root)))
for (const finding of findings) console.error(formatFinding(finding))
console.log(`${sources.length} expressions, ${findings.length} problems`)
process.exitCode = findings.length > 0 ? 1 : 0
