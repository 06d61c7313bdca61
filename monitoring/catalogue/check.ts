// Lints every PromQL expression of the repository: `pnpm --filter @data20/monitoring promql`.
import { createLookup } from './names.ts'
import { root } from './root.ts'
import { readRules } from './rules.ts'
import { findSources, formatFinding, lintSources } from './sources.ts'

const sources = findSources(root)
const findings = lintSources(sources, createLookup(readRules(root)))
for (const finding of findings) console.error(formatFinding(finding))
console.log(`${sources.length} expressions, ${findings.length} problems`)
process.exitCode = findings.length > 0 ? 1 : 0
