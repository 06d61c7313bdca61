/**
 * Waits for conditions instead of times.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Calls `look` every 25 ms and resolves to the first value that is neither `undefined` nor `false`. An error of `look`
 * does not end the wait, since its subject may not exist yet. After the timeout it throws an error that names what was
 * expected, with the last error as its cause.
 */
export async function until<Value>(
  what: string,
  look: () => Value | Promise<Value>,
  timeoutMs = 90_000,
): Promise<Exclude<Value, undefined | false>> {
  const deadline = Date.now() + timeoutMs
  let cause: unknown
  for (;;) {
    try {
      const value = await look()
      if (value !== undefined && value !== false) return value as Exclude<Value, undefined | false>
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (Date.now() > deadline) throw new Error(`Expected ${what} within ${timeoutMs} ms`, { cause })
    await sleep(25)
  }
}
