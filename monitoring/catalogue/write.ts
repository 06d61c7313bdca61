/**
 * Writes docs/metrics.md: `pnpm --filter @data20/monitoring catalogue`.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { renderDocument } from './document.ts'
import { root } from './root.ts'
import { readRules } from './sources.ts'

mkdirSync(new URL('docs/', root), { recursive: true })
writeFileSync(new URL('docs/metrics.md', root), renderDocument(readRules(root)))
