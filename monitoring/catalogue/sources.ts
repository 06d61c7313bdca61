/**
 * The files of this repository that hold PromQL: rules, dashboards and documents.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import {
  parseRules,
  type Rule,
  type Source,
  sourceOfRule,
  sourcesOfDashboard,
  sourcesOfMarkdown,
} from '@data20/promql-lint'

const RULES = ['monitoring/prometheus/rules/', 'monitoring/prometheus/alerts/']
const DASHBOARDS = 'monitoring/grafana/dashboards/'
const DOCUMENTS = ['apps/', 'docs/', 'monitoring/', 'packages/']

/** Folders whose Markdown is not documentation. */
const SKIPPED = new Set(['node_modules', 'dist', 'fixtures', 'test'])

/** Returns the recording and alerting rules, in the order of their files. */
export function readRules(root: URL): Rule[] {
  return RULES.flatMap((folder) => filesIn(root, folder, '.yml')).flatMap((file) => parseRules(file, read(root, file)))
}

/** Returns every PromQL expression of the repository. */
export function findSources(root: URL): Source[] {
  return [
    ...readRules(root).map(sourceOfRule),
    ...filesIn(root, DASHBOARDS, '.json').flatMap((file) => sourcesOfDashboard(file, read(root, file))),
    ...markdownFiles(root).flatMap((file) => sourcesOfMarkdown(file, read(root, file))),
  ]
}

function markdownFiles(root: URL): string[] {
  const top = readdirSync(root).filter((name) => name.endsWith('.md'))
  return [...top, ...DOCUMENTS.flatMap((folder) => filesIn(root, folder, '.md'))]
}

/** Returns the files below a folder, sorted. */
function filesIn(root: URL, folder: string, extension: string): string[] {
  if (!existsSync(new URL(folder, root))) return []
  return readdirSync(new URL(folder, root), { withFileTypes: true })
    .filter(({ name }) => !SKIPPED.has(name) && !name.startsWith('.'))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isDirectory()) return filesIn(root, `${folder}${entry.name}/`, extension)
      return entry.name.endsWith(extension) ? [folder + entry.name] : []
    })
}

function read(root: URL, file: string): string {
  return readFileSync(new URL(file, root), 'utf8')
}
