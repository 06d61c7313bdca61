/**
 * The threads that run the tools, so that no tool blocks the event loop of the server.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { type CorpusLimits, fingerprintCorpus } from './corpus/corpus.ts'
import type { ToolFailure, ToolOutcome, ToolTask } from './thread.ts'
import { ToolError } from './tools/errors.ts'

/** Options of the pool. */
export interface ToolPoolOptions {
  /** Folder of the documents. */
  docsDir: string
  /** Threads that are kept while no run is in flight. @default 1 */
  minThreads?: number | undefined
  /** Runs in flight at the same time; further runs wait. Each thread holds its own parsed corpus. @default 2 */
  maxThreads?: number | undefined
  /** Idle time after which a thread beyond `minThreads` ends, in milliseconds. @default 60000 */
  idleTimeoutMs?: number | undefined
  /** Limits on what is read from the folder. */
  limits?: CorpusLimits | undefined
}

/** Runs tools in threads. */
export interface ToolPool {
  /** Threads that are alive or about to be. */
  readonly threads: number
  /**
   * Runs a tool with parameters that `parseParameters` returned, and resolves to its result. Rejects with the tool's
   * own error when it fails, and with an `AbortError` whose `cause` is the signal's reason when `signal` aborts: a
   * waiting run is dropped; the thread of a run in flight is terminated immediately and replaced.
   */
  run(name: string, params: Record<string, unknown>, options?: { signal?: AbortSignal | undefined }): Promise<unknown>
  /** Returns a hash of the documents; equal fingerprints give equal results. Lists the folder and parses nothing. */
  fingerprint(): Promise<string>
  /** Terminates the threads. Runs in flight and later runs reject. Resolves when the last thread has ended. */
  close(): Promise<void>
}

/** Starts a pool. The caller closes it; its threads do not keep the process alive. */
export function createToolPool(options: ToolPoolOptions): ToolPool {
  const { docsDir, minThreads = 1, maxThreads = 2, idleTimeoutMs = 60_000, limits } = options

  const piscina = new Piscina<ToolTask, ToolOutcome>({
    filename: fileURLToPath(new URL('./thread-entry.cjs', import.meta.url)),
    minThreads,
    maxThreads,
    idleTimeout: idleTimeoutMs,
  })

  let isClosed = false

  return {
    get threads() {
      return piscina.threads.length
    },
    run,
    fingerprint: () => fingerprintCorpus(docsDir),
    close,
  }

  async function run(
    name: string,
    params: Record<string, unknown>,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<unknown> {
    // Piscina would start a new thread.
    if (isClosed) throw new ToolError('Expected the pool to be open, got a closed one', 'POOL_CLOSED', 503)
    const outcome = await piscina.run({ tool: name, params, docsDir, limits }, { signal: signal ?? null })
    if ('error' in outcome) throw restore(outcome.error)
    return outcome.result
  }

  async function close(): Promise<void> {
    isClosed = true
    await piscina.destroy()
  }
}

function restore({ name, message, stack, code, statusCode, field }: ToolFailure): Error {
  const error =
    code !== undefined && statusCode !== undefined
      ? new ToolError(message, code, statusCode, field)
      : Object.assign(new Error(message), { name }, code === undefined ? {} : { code })
  if (stack !== undefined) error.stack = stack
  return error
}
