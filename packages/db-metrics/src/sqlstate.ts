/**
 * Bounds the label `sqlstate_class`.
 *
 * @module
 */

/**
 * The classes of PostgreSQL's error codes, https://www.postgresql.org/docs/18/errcodes-appendix.html, and those that
 * MySQL and MariaDB have beside them: 70, HY and XA. 00 is success.
 */
const CLASSES: ReadonlySet<string> = new Set(
  (
    '01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F ' +
    '34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 70 72 F0 HV HY P0 XA XX'
  ).split(' '),
)

/**
 * Returns the class of an error's SQLSTATE: two characters from the documented list. Returns `other` for everything
 * else: errors of the connection and of the driver (with codes of Node.js, such as `ECONNRESET`), and classes that
 * extensions define.
 */
export function sqlstateClass(error: unknown): string {
  const { code: anyCode, sqlState } = (error ?? {}) as { code?: unknown; sqlState?: unknown }
  // mysql2 has the name of the error as its code.
  const code = sqlState ?? anyCode
  if (typeof code !== 'string' || code.length !== 5) return 'other'
  const sqlstate = code.slice(0, 2)
  return CLASSES.has(sqlstate) ? sqlstate : 'other'
}
