/**
 * Names the class of an error, for a label.
 *
 * @module
 */

/** The label value of what has no class, and of classes beyond the limit. */
export const OTHER = 'other'

/** A class name, at most 64 characters: a name that was set to a message is none. */
const CLASS_NAME = /^[A-Za-z_$][\w$.]{0,63}$/
/** The beginning of a stack trace. */
const STACK_HEAD = /^([A-Za-z_$][\w$.]{0,63})(?=[:\n]|$)/

/**
 * Returns the class name of an error: its `name`, else that of its constructor, else the one its stack trace begins
 * with, which is all that a sandboxed processor's error keeps. Never throws.
 */
export function errorClassOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return OTHER
  const { name, stack } = error as Partial<Error>
  for (const candidate of [name, error.constructor?.name, STACK_HEAD.exec(String(stack))?.[1]]) {
    if (typeof candidate === 'string' && isSpecific(candidate)) return candidate
  }
  return error instanceof Error || stack !== undefined ? 'Error' : OTHER
}

function isSpecific(name: string): boolean {
  return name !== 'Error' && name !== 'Object' && CLASS_NAME.test(name)
}
