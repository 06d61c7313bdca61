/**
 * Entry point of a thread: runs one tool. The thread keeps the corpus that it parsed last.
 *
 * @module
 */
import { type Corpus, type CorpusLimits, loadCorpus } from './corpus/corpus.ts'
import { findTool } from './tools/index.ts'

/** A task for a thread. The parameters have been validated. */
export interface ToolTask {
  tool: string
  params: Record<string, unknown>
  docsDir: string
  limits?: CorpusLimits | undefined
}

/** Outcome of a run. Errors are plain data, since structured cloning drops an `Error`'s code and field. */
export type ToolOutcome = { result: unknown } | { error: ToolFailure }

/** The serializable part of an error. */
export interface ToolFailure {
  name: string
  message: string
  stack: string | undefined
  code: string | undefined
  statusCode: number | undefined
  field: string | undefined
}

let latest: Corpus | undefined

/** Runs the tool on the current documents, which are read again only when they have changed. Never rejects. */
export default async function runTool({ tool, params, docsDir, limits }: ToolTask): Promise<ToolOutcome> {
  try {
    latest = await loadCorpus(docsDir, { ...limits, latest })
    return { result: await findTool(tool).run(latest, params) }
  } catch (error) {
    const { name, message, stack, code, statusCode, field } = error as ToolFailure
    return { error: { name, message, stack, code, statusCode, field } }
  }
}
