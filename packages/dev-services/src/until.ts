import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Looks again and again, with 25 ms in between, and resolves to the first value that is not `undefined` or `false`; what
 * is looked at may not be there yet, so that an error is no end. Throws with the name of what did not come, and with the
 * last error as its cause.
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
