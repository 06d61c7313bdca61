/**
 * One run of a tool: its signal, its time limit and its only end.
 *
 * @module
 */
import { checkTimeout, InvalidOptionError } from '@data20/metrics-core/plugin'
import type { Ending, Streamed } from './ending.ts'
import type { ToolStatus } from './metrics.ts'
import { observerOf } from './streamed.ts'

export interface TrackOptions {
  /** Aborts the run, for example when the client disconnects. The execution then counts as `cancelled`. */
  signal?: AbortSignal | undefined
  /** Milliseconds after which the run's signal aborts. The execution then counts as `timeout`. */
  timeoutMs?: number | undefined
}

/** Ends executions whose streamed result nobody can read any more. */
const abandoned = new FinalizationRegistry<Execution>((execution) => execution.cancelled())

/** Throws `InvalidOptionError` before anything is counted. */
export function checkTrackOptions({ signal, timeoutMs }: TrackOptions): void {
  if (timeoutMs !== undefined) checkTimeout(timeoutMs, 'timeoutMs', true)
  if (signal !== undefined && typeof signal.addEventListener !== 'function') {
    throw new InvalidOptionError('signal', 'an AbortSignal', signal)
  }
}

type IsFailed = (result: unknown, tool: string) => boolean

/** A run of a tool. A class, so that a run allocates one object instead of a closure for each of its ends. */
export class Execution {
  readonly tool: string
  /** Aborts with the caller's signal, or when the time is over. */
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #timeoutMs: number | undefined
  readonly #timer: NodeJS.Timeout | undefined
  readonly #outer: AbortSignal | undefined
  readonly #onEnd: (status: ToolStatus) => void

  /** `onEnd` is called at each end. */
  constructor(tool: string, onEnd: (status: ToolStatus) => void, { signal, timeoutMs }: TrackOptions) {
    this.tool = tool
    this.signal = this.#controller.signal
    this.#onEnd = onEnd
    this.#timeoutMs = timeoutMs
    this.#timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs, this)
    this.#outer = signal
    if (signal?.aborted) this.handleEvent()
    else signal?.addEventListener('abort', this, { once: true })
  }

  end(status: ToolStatus): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this)
    this.#onEnd(status)
  }

  failed(error: unknown): void {
    this.end(statusOf(error, this.signal))
  }

  cancelled(): void {
    this.end(this.signal.aborted ? statusOf(undefined, this.signal) : 'cancelled')
  }

  /** Passes on that the caller's signal aborted. */
  handleEvent(): void {
    this.#controller.abort(this.#outer?.reason)
  }

  expire(): void {
    this.#controller.abort(new DOMException(`${this.tool} took longer than ${this.#timeoutMs} ms`, 'TimeoutError'))
  }

  /** Keeps the time limit from keeping the process alive. */
  unref(): void {
    this.#timer?.unref()
  }
}

function expire(execution: Execution): void {
  execution.expire()
}

/** Ends an execution with its result: a streamed one at its end, any other at once. */
export function settle(result: unknown, execution: Execution, isFailed: IsFailed): void {
  if (!holdOpen(result, execution, isFailed)) execution.end(isFailed(result, execution.tool) ? 'failed' : 'completed')
}

/**
 * Holds an execution open until its streamed result ends. Returns `false` for any other result. Nothing that is left
 * behind refers to the result, or it would never be collected.
 */
function holdOpen(result: unknown, execution: Execution, isFailed: IsFailed): boolean {
  try {
    const observe = observerOf(result)
    if (observe === undefined) return false
    const ending = endingOf(new WeakRef(result as object), execution, isFailed)
    endWhenIdle(execution, observe(result as never, ending))
    abandoned.register(result as object, execution)
    execution.unref()
    return true
  } catch {
    // A getter or a proxy of the result threw: it is not ours to fail its run.
    return false
  }
}

function endingOf(reference: WeakRef<object>, execution: Execution, isFailed: IsFailed): Ending {
  return {
    completed: () => execution.end(isFailed(reference.deref(), execution.tool) ? 'failed' : 'completed'),
    failed: (error) => execution.failed(error),
    cancelled: () => execution.cancelled(),
  }
}

/** After its signal aborted, an execution ends as soon as nobody waits for more of its result. */
function endWhenIdle(execution: Execution, streamed: Streamed): void {
  const { signal } = execution
  streamed.onIdle = endIfIdle
  signal.addEventListener('abort', endIfIdle, { once: true })
  endIfIdle()

  function endIfIdle(): void {
    if (signal.aborted && !streamed.isRead()) execution.cancelled()
  }
}

/**
 * Returns the status of a rejected execution: by the reason of its aborted signal, otherwise by the name of the error.
 */
function statusOf(error: unknown, { aborted, reason }: AbortSignal): ToolStatus {
  const name = (aborted ? reason : error)?.name
  if (name === 'TimeoutError') return 'timeout'
  return aborted || name === 'AbortError' ? 'cancelled' : 'failed'
}
