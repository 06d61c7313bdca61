/**
 * Checks the parameters of a tool. Threads do not need it: what they get has been checked.
 *
 * @module
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { invalidParameter } from './errors.ts'
import type { Tool } from './tool.ts'

// Every error, since a parameter that does not exist matters most. Schemas are ours, so that there are few.
const ajv = new Ajv({ allErrors: true, useDefaults: true })
const validators = new WeakMap<Tool, ValidateFunction>()

/**
 * A copy of the parameters, complete with defaults. Nothing is converted: `"5"` is no number.
 * Throws a {@link ToolError} with code `INVALID_PARAMETER` and the failing `field`.
 */
export function parseParameters(tool: Tool, parameters: unknown = {}): Record<string, unknown> {
  // Parameters are flat; what is nested is refused.
  const complete = isObject(parameters) ? { ...parameters } : parameters
  const validate = validators.get(tool) ?? ajv.compile(tool.parameters)
  validators.set(tool, validate)
  if (validate(complete)) return complete as Record<string, unknown>
  const errors = validate.errors!
  throw explain(tool, errors.find(({ keyword }) => keyword === 'additionalProperties') ?? errors[0]!, complete)
}

function explain(tool: Tool, { params, instancePath, message = 'be valid' }: ErrorObject, complete: unknown): Error {
  const { missingProperty: missing, additionalProperty: surplus } = params as Record<string, string | undefined>
  if (missing !== undefined) return invalidParameter(missing, 'be given', undefined)
  if (surplus !== undefined) return invalidParameter(surplus, `be one of ${nameParameters(tool)}`, surplus)
  const field = instancePath.split('/')[1] ?? ''
  const got = field === '' ? complete : (complete as Record<string, unknown>)[field]
  return invalidParameter(field, message.replace(/^must /, '').replace(/^NOT /, 'not '), got)
}

function nameParameters(tool: Tool): string {
  return Object.keys(tool.parameters.properties).join(', ') || 'none'
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
