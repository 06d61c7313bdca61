/**
 * What a tool is.
 *
 * @module
 */
import type { Corpus } from '../corpus/corpus.ts'

/** One tool: a file in this folder exports one. */
export interface Tool {
  /** Name in the API and in the label `tool_name`. */
  name: string
  /** One sentence for the list of tools. */
  description: string
  /** JSON schema of the parameters, with their defaults. */
  parameters: { readonly properties: object }
  /**
   * Answers with plain JSON. The same corpus and parameters give the same answer.
   * The parameters are valid and complete, see `parseParameters`.
   */
  run(corpus: Corpus, parameters: Record<string, unknown>): unknown
}
