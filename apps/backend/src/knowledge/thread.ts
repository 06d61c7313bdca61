/**
 * The entry of a worker thread: one run of one tool. The thread keeps the corpus that it parsed last.
 *
 * @module
 */
import { type Corpus, type CorpusLimits, loadCorpus } from './corpus/corpus.ts'
import { findTool } from './tools/index.ts'

/** What a thread is asked to do. The parameters are valid. */
export interface ToolTask {
  tool: string
  params: Record<string, unknown>
  docsDir: string
  limits?: CorpusLimits | undefined
}

/** How a run ended. An error is data here: a clone of an `Error` that leaves the thread would lose its code and field. */
export type ToolOutcome = { result: unknown } | { error: ToolFailure }

/** What is kept of an error. */
export interface ToolFailure {
  name: string
  message: string
  stack: string | undefined
  code: string | undefined
  statusCode: number | undefined
  field: string | undefined
}

let latest: Corpus | undefined

/** Runs the tool on the documents as they are now; they are read again only when they have changed. Never rejects. */
export default async function runTool({ tool, params, docsDir, limits }: ToolTask): Promise<ToolOutcome> {
  try {
    latest = await loadCorpus(docsDir, { ...limits, latest })
    return { result: await findTool(tool).run(latest, params) }
  } catch (error) {
    const { name, message, stack, code, statusCode, field } = error as ToolFailure
    return { error: { name, message, stack, code, statusCode, field } }
  }
}
