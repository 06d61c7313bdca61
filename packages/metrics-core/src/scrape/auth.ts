/**
 * Checks the credentials of a scraper.
 *
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { InvalidOptionError } from '../errors.ts'
import type { Auth } from '../options.ts'

/** What a header can carry. A token read from a file often ends in a line break. */
const TOKEN = /^[!-~]([ -~]*[!-~])?$/

/** The check of one `auth` option. */
export interface Authorizer {
  /** Returns whether an `Authorization` header is right, in constant time. */
  isAuthorized(authorization: string | undefined): boolean
  /** The `WWW-Authenticate` header of a refusal. */
  readonly challenge: string
}

/** Creates the check. Throws when `auth` has neither a token nor a user name and password. */
export function createAuthorizer(auth: Auth): Authorizer {
  // A secret can come from an environment variable that is not set; that must not open the endpoint.
  const { bearer, username, password }: Record<string, unknown> = { ...auth }
  if (isNonEmptyString(bearer) && !TOKEN.test(bearer)) {
    throw new InvalidOptionError(
      'auth.bearer',
      'printable ASCII without a space or line break at its ends',
      'another string',
    )
  }
  if (isNonEmptyString(bearer)) return authorizer('Bearer', bearer)
  if (isNonEmptyString(username) && isNonEmptyString(password) && !username.includes(':')) {
    return authorizer('Basic', Buffer.from(`${username}:${password}`).toString('base64'))
  }
  throw new InvalidOptionError(
    'auth',
    '{ bearer } or { username, password } with non-empty strings',
    Object.keys({ ...auth }),
  )
}

function authorizer(scheme: 'Bearer' | 'Basic', credentials: string): Authorizer {
  const expected = digest(credentials)
  return {
    challenge: `${scheme} realm="metrics"`,
    isAuthorized(authorization = '') {
      const [given = '', ...rest] = authorization.split(' ')
      // Digests have the same length whatever is sent, so the time of the comparison reveals nothing about the secret.
      const isSame = timingSafeEqual(digest(rest.join(' ').trim()), expected)
      return isSame && given.toLowerCase() === scheme.toLowerCase()
    },
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function isNonEmptyString(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
