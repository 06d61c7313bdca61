/**
 * The name and the version in package.json.
 *
 * @module
 */
import { readFileSync } from 'node:fs'

const { name, version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

/** The name in `app_info` and in the API's description. */
export const NAME = `data20-${name}`
export const VERSION: string = version
