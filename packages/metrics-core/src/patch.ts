/**
 * Replaces a method of one object so that neither its callers nor the method notice.
 *
 * @module
 */

/** A method that is called with the arguments and the `this` of the original. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Replaces a method of one object, never of its prototype. The function returned restores the previous method, unless
 * the method was replaced again in the meantime.
 */
export function patch(target: object, name: string, wrap: (original: Method) => Method): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name)
  const replacement = wrap((target as Record<string, Method>)[name]!)
  // Not enumerable, so that the object looks the same when it is logged or compared.
  Object.defineProperty(target, name, { value: replacement, configurable: true, enumerable: false, writable: true })
  return () => {
    if (Object.getOwnPropertyDescriptor(target, name)?.value !== replacement) return
    if (before === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, before)
  }
}
