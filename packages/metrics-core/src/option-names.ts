/**
 * Refuses options that a plugin does not have: a misspelt `auth` must never open an endpoint.
 *
 * @module
 */
import { UnknownOptionError } from './errors.ts'

/** The options of a plugin, each with the names that people know it by from other plugins. */
export type OptionNames<Options> = Readonly<Record<keyof Options, readonly string[]>>

/** What Fastify itself takes from the options of `register`. */
const OF_FASTIFY: readonly string[] = ['prefix', 'logLevel', 'logSerializers']

/**
 * Throws an {@link UnknownOptionError} for an option that is not among `names`, with the name that is probably meant.
 * Options that are `undefined` are absent. `owner` is the plugin, or a nested option.
 */
export function checkOptionNames(
  owner: string,
  options: object,
  names: Readonly<Record<string, readonly string[]>>,
): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || Object.hasOwn(names, name)) continue
    const meant = meantBy(name, names)
    if (meant === undefined && OF_FASTIFY.includes(name)) continue
    const known = Object.keys(names).join(', ')
    throw new UnknownOptionError(owner, name, meant === undefined ? `it has ${known}` : `did you mean \`${meant}\`?`)
  }
}

/** Returns the option that has this other name, or a similar one. */
function meantBy(name: string, names: Readonly<Record<string, readonly string[]>>): string | undefined {
  const lower = name.toLowerCase()
  const entries = Object.entries(names)
  const alias = entries.find(([, others]) => others.some((other) => other.toLowerCase() === lower))
  if (alias) return alias[0]
  const [nearest] = entries
    .map(([known]) => ({ known, distance: editDistance(lower, known.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
  return nearest !== undefined && nearest.distance <= Math.min(2, name.length / 2) ? nearest.known : undefined
}

/** The Levenshtein distance: single characters that are added, removed or replaced. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [index, character] of [...a].entries()) {
    const next = [index + 1]
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = row[column - 1]! + (character === b[column - 1] ? 0 : 1)
      next.push(Math.min(row[column]! + 1, next[column - 1]! + 1, replaced))
    }
    row = next
  }
  return row[b.length]!
}
