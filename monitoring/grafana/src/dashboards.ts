/**
 * All dashboards, as files.
 *
 * @module
 */
import type { Rule } from '@data20/promql-lint'
import { cache } from './cache.ts'
import { createDashboard, type Dashboard } from './dashboard.ts'
import { db } from './db.ts'
import { http } from './http.ts'
import { overview } from './overview.ts'
import { queue } from './queue.ts'
import { slo } from './slo.ts'
import { system } from './system.ts'
import { tool } from './tool.ts'

export const dashboards: readonly Dashboard[] = [overview, http, tool, db, queue, cache, system, slo]

/** Returns the text of each file by its name. The addresses of runbooks come from the alerts. */
export function renderDashboards(rules: readonly Rule[]): Map<string, string> {
  const runbookUrls = new Map(
    rules.flatMap(({ alert, annotations: { runbook_url } }) => (alert && runbook_url ? [[alert, runbook_url]] : [])),
  )
  return new Map(
    dashboards.map((dashboard) => [
      `${dashboard.uid}.json`,
      `${JSON.stringify(createDashboard(dashboard, runbookUrls), null, 2)}\n`,
    ]),
  )
}
