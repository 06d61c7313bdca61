/**
 * The registry of the tools.
 *
 * @module
 */
import { tool as buildGraph } from './build-graph.ts'
import { tool as checkLinks } from './check-links.ts'
import { tool as documentStats } from './document-stats.ts'
import { unknownTool } from './errors.ts'
import { tool as extractKeywords } from './extract-keywords.ts'
import { tool as findDuplicates } from './find-duplicates.ts'
import { tool as search } from './search.ts'
import type { Tool } from './tool.ts'

export { ToolError } from './errors.ts'
export type { Tool }

/** Every tool by its name, in the order in which they are listed. */
export const tools: ReadonlyMap<string, Tool> = new Map(
  [buildGraph, search, extractKeywords, findDuplicates, checkLinks, documentStats].map((tool) => [tool.name, tool]),
)

/** The tool of that name. Throws a {@link ToolError} with code `UNKNOWN_TOOL` when there is none. */
export function findTool(name: string): Tool {
  const tool = tools.get(name)
  if (!tool) throw unknownTool(name)
  return tool
}
