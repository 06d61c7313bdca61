/**
 * Standing between a caller and a method without either of them noticing.
 *
 * @module
 */

/** A method whose arguments are handed on as they came. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Replaces a method of one object, never of its prototype. The function returned puts back what was there; where somebody
 * else has replaced the method since, it leaves theirs alone.
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
