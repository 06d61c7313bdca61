/**
 * Waiting for a promise, but not for ever.
 *
 * @module
 */

/**
 * Settles as the promise does, or resolves to `false` after `milliseconds`. While it waits, `waiting` holds a function
 * that resolves it to `false` at once.
 */
export function withDeadline<Result>(
  promise: Promise<Result>,
  milliseconds: number,
  waiting: Set<() => void> = new Set(),
): Promise<Result | false> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(stop, milliseconds)
    waiting.add(stop)
    promise.then(resolve, reject).finally(stop)

    function stop(): void {
      clearTimeout(timer)
      waiting.delete(stop)
      resolve(false)
    }
  })
}
