/**
 * Writes monitoring/grafana/dashboards/*.json: `pnpm --filter @data20/monitoring dashboards`.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { root } from '../../catalogue/root.ts'
import { readRules } from '../../catalogue/sources.ts'
import { renderDashboards } from './dashboards.ts'

const folder = new URL('monitoring/grafana/dashboards/', root)
mkdirSync(folder, { recursive: true })
for (const [file, text] of renderDashboards(readRules(root))) writeFileSync(new URL(file, folder), text)
