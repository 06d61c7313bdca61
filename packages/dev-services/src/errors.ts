/**
 * The errors of dev-services.
 * @module
 */

/** A service or tool is unavailable on this machine. The message is one sentence and says what to do. */
export class ToolUnavailableError extends Error {
  override readonly name = 'ToolUnavailableError'
  readonly code = 'TOOL_UNAVAILABLE'
}
