/**
 * What is known of a result while it is read.
 *
 * @module
 */

/** How a streamed result ended. Only the first call counts. */
export interface Ending {
  /** The caller has read all of it. */
  completed(): void
  failed(error: unknown): void
  /** The caller left before the end. */
  cancelled(): void
}

/**
 * A streamed result under observation. It holds no reference to the result, which may be collected without an end.
 */
export interface Streamed {
  /** Tells whether the tool works for a reader now. A generator between two reads does not. */
  isRead(): boolean
  /** Called when a read was answered or a reader has left, and the result has not ended. */
  onIdle?: () => void
}
