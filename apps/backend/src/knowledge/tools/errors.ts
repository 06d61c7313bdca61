/**
 * The errors that a tool's caller can act on.
 *
 * @module
 */

/**
 * An error with the code, the HTTP status and the parameter that an answer needs. A thread passes it on as plain data.
 */
export class ToolError extends Error {
  readonly code: string
  readonly statusCode: number
  /** Name of the parameter that is wrong, empty for the parameters as a whole; absent in other errors. */
  readonly field: string | undefined

  constructor(message: string, code: string, statusCode: number, field?: string) {
    super(message)
    this.name = 'ToolError'
    this.code = code
    this.statusCode = statusCode
    this.field = field
  }
}

/** A parameter is not what the tool expects: code `INVALID_PARAMETER`, status 400. */
export function invalidParameter(field: string, expected: string, got: unknown): ToolError {
  const subject = field === '' ? 'parameters' : `parameter \`${field}\``
  const message = `Expected ${subject} to ${expected}, got ${shorten(got)}`
  return new ToolError(message, 'INVALID_PARAMETER', 400, field)
}

/** No tool has the name: code `UNKNOWN_TOOL`, status 404. */
export function unknownTool(name: string): ToolError {
  return new ToolError(`Expected the name of a tool, got ${shorten(name)}`, 'UNKNOWN_TOOL', 404)
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
