import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Looks again and again, with 25 ms in between, and resolves to the first value that is not `undefined` or `false`. Throws with the
 * name of what did not come.
 */
export async function until<Value>(
  what: string,
  look: () => Value | Promise<Value>,
  timeoutMs = 60_000,
): Promise<Exclude<Value, undefined | false>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await look()
    if (value !== undefined && value !== false) return value as Exclude<Value, undefined | false>
    if (Date.now() > deadline) throw new Error(`Expected ${what} within ${timeoutMs} ms`)
    await sleep(25)
  }
}
