/**
 * The inline runs in flight: each from the moment when its request is handled, so that a client that leaves and a
 * shutdown find it in whatever it waits for.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { ApiError } from '../errors.ts'

/** An inline run in flight. */
export interface RunningRun {
  /** Aborts when nobody waits for the run any more. The reason is an {@link ApiError}. */
  readonly signal: AbortSignal
  /** Takes one of the places for execution. Throws an {@link ApiError} with code `TOO_MANY_RUNS` when all are taken. */
  admit(): void
  /** Resolves to what `work` resolves to, or to `undefined` as soon as the run aborts. */
  unlessAborted<Value>(work: Promise<Value>): Promise<Value | undefined>
  /** Removes the run from the set, and frees its place. */
  end(): void
}

/** The inline runs in flight. */
export interface RunningSet {
  /**
   * Adds a run, to be called before anything is awaited. It aborts when the client leaves, at once if it has left
   * already.
   */
  begin(response: ServerResponse): RunningRun
  /** Aborts every run, and each later one as it begins. */
  abort(reason: ApiError): void
  /** Resolves when no run is in flight. */
  settled(): Promise<void>
}

/** Makes a set in which `maxConcurrentRuns` execute at the same time. */
export function createRunningSet(maxConcurrentRuns: number): RunningSet {
  const runs = new Map<AbortController, Promise<void>>()
  let executing = 0
  let abortReason: ApiError | undefined

  return { begin, abort, settled }

  function begin(response: ServerResponse): RunningRun {
    const controller = new AbortController()
    const { signal } = controller
    let isAdmitted = false
    let resolve: () => void
    runs.set(
      controller,
      new Promise((onEnd) => {
        resolve = onEnd
      }),
    )
    const leave = () => controller.abort(new ApiError(499, 'CLIENT_LEFT', 'The client left'))
    if (abortReason) controller.abort(abortReason)
    // The event has passed when the client left before.
    else if (response.destroyed) leave()
    else response.once('close', leave)

    return {
      signal,
      admit() {
        if (executing >= maxConcurrentRuns) throw tooManyRuns(executing)
        executing += 1
        isAdmitted = true
      },
      unlessAborted: (work) => unlessAborted(work, signal),
      end() {
        response.off('close', leave)
        if (isAdmitted) executing -= 1
        runs.delete(controller)
        resolve()
      },
    }
  }

  function abort(reason: ApiError): void {
    abortReason = reason
    for (const controller of runs.keys()) controller.abort(reason)
  }

  async function settled(): Promise<void> {
    await Promise.all(runs.values())
  }
}

async function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value | undefined> {
  let onAbort = () => {}
  const aborted = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  return await Promise.race([aborted, work]).finally(() => signal.removeEventListener('abort', onAbort))
}

function tooManyRuns(count: number): ApiError {
  return new ApiError(503, 'TOO_MANY_RUNS', `${count} runs are in flight already; try again later`, {
    headers: { 'retry-after': '1' },
  })
}
