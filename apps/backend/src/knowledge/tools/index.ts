/**
 * The registry of the tools.
 *
 * @module
 */
import { Value } from 'typebox/value'
import { tool as buildGraph } from './build-graph.ts'
import { tool as checkLinks } from './check-links.ts'
import { tool as documentStats } from './document-stats.ts'
import { invalidParameter, unknownTool } from './errors.ts'
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

/**
 * A copy of the parameters, complete with defaults. Nothing is converted: `"5"` is no number.
 * Throws a {@link ToolError} with code `INVALID_PARAMETER` and the failing `field`.
 */
export function parseParameters(tool: Tool, parameters: unknown = {}): Record<string, unknown> {
  const complete = Value.Default(tool.parameters, Value.Clone(parameters))
  const errors = Value.Errors(tool.parameters, complete)
  // A name that is none comes with a second error, which does not say so.
  const error = errors.find(({ params }) => 'additionalProperties' in params) ?? errors[0]
  if (!error) return complete as Record<string, unknown>
  const { requiredProperties, additionalProperties } = error.params as Record<string, string[] | undefined>
  const [missing] = requiredProperties ?? []
  if (missing !== undefined) throw invalidParameter(missing, 'be given', undefined)
  const [surplus] = additionalProperties ?? []
  if (surplus !== undefined) throw invalidParameter(surplus, `be one of ${nameParameters(tool)}`, surplus)
  const field = error.instancePath.split('/')[1] ?? ''
  const got = field === '' ? complete : (complete as Record<string, unknown>)[field]
  throw invalidParameter(field, error.message.replace(/^must /, ''), got)
}

function nameParameters(tool: Tool): string {
  return Object.keys(tool.parameters.properties).join(', ') || 'none'
}
