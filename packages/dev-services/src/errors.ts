/** A service or tool cannot be had on this machine; the message is one sentence that says what to do. */
export class ToolUnavailableError extends Error {
  override readonly name = 'ToolUnavailableError'
  readonly code = 'TOOL_UNAVAILABLE'
}
