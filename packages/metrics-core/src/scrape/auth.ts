/**
 * Who may scrape.
 *
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { InvalidOptionError } from '../errors.ts'
import type { Auth } from '../options.ts'

/** What a header can carry: a token read from a file often has a line break at its end. */
const TOKEN = /^[!-~]([ -~]*[!-~])?$/

/** The check of one `auth` option: takes an `Authorization` header, says whether it is right, in constant time. */
export interface Authorizer {
  isAuthorized(authorization: string | undefined): boolean
  /** The `WWW-Authenticate` header of a refusal. */
  readonly challenge: string
}

/** Throws when `auth` has neither a token nor a user name and password. */
export function createAuthorizer(auth: Auth): Authorizer {
  // A secret from an unset environment variable is no reason to let everybody in.
  const { bearer, username, password }: Record<string, unknown> = { ...auth }
  if (isText(bearer) && !TOKEN.test(bearer)) {
    throw new InvalidOptionError(
      'auth.bearer',
      'printable ASCII without a space or line break at its ends',
      'another text',
    )
  }
  if (isText(bearer)) return authorizer('Bearer', bearer)
  if (isText(username) && isText(password) && !username.includes(':')) {
    return authorizer('Basic', Buffer.from(`${username}:${password}`).toString('base64'))
  }
  throw new InvalidOptionError(
    'auth',
    '{ bearer } or { username, password } with texts that are not empty',
    Object.keys({ ...auth }),
  )
}

function authorizer(scheme: 'Bearer' | 'Basic', credentials: string): Authorizer {
  const expected = digest(credentials)
  return {
    challenge: `${scheme} realm="metrics"`,
    isAuthorized(authorization = '') {
      const [given = '', ...rest] = authorization.split(' ')
      // Digests are of one length whatever is sent, so the comparison tells nothing of the secret.
      const isSame = timingSafeEqual(digest(rest.join(' ').trim()), expected)
      return isSame && given.toLowerCase() === scheme.toLowerCase()
    },
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
