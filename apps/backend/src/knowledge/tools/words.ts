/**
 * The definition of a word, shared by all tools.
 *
 * @module
 */

/** Longer runs of letters are data (hashes, keys), not words. */
const MAX_TERM_CHARACTERS = 40

/** Counts words as `wc -w` does, runs between white space, but only those with a letter or a digit in them. */
export function countWords(text: string): number {
  let count = 0
  for (const [run] of text.matchAll(/\S+/g)) if (/[\p{L}\p{N}]/u.test(run)) count++
  return count
}

/**
 * The words of a text in lower case, without punctuation, for comparing: `Fastify's reply.send()` is `fastify's`,
 * `reply`, `send`.
 */
export function* termsOf(text: string): Generator<string> {
  for (const [term] of text
    .toLowerCase()
    .replaceAll('’', "'")
    .matchAll(/[\p{L}\p{N}_]+(?:['-][\p{L}\p{N}_]+)*/gu)) {
    if (term.length <= MAX_TERM_CHARACTERS) yield term
  }
}

/** A stretch of text on one line, for showing. Halves of characters that a cut left over are removed. */
export function toOneLine(text: string): string {
  return text
    .replace(/\p{Surrogate}/gu, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/**
 * English words that carry no topic: articles, pronouns, prepositions, auxiliary verbs and the like.
 */
export const STOP_WORDS: ReadonlySet<string> = new Set(
  `a about above according across actually after again against all almost alone along already also although always am among an and another any
  anyone anything are aren't around as at away back be became because become becomes been before behind being below between both but by came
  can can't cannot come could couldn't did didn't do does doesn't doing don't done down due during each either else enough etc even ever every
  everyone everything except few first following follows for from further gave get gets getting give given gives go goes going gone got had
  hadn't has hasn't have haven't having he hence her here hers herself him himself his how however i i'd i'll i'm i've if in indeed inside
  instead into is isn't it it's its itself just keep kept last later least less let let's like likely made make makes making many may maybe me
  might mine more moreover most mostly much must my myself near need needs neither never next no nobody non none nor not nothing now of off
  often on once one only onto or other others otherwise our ours ourselves out over own per perhaps please put quite rather really same say
  says second see seem seems several shall she should shouldn't show since so some someone something sometimes still such take than that
  that's the their theirs them themselves then there there's thereby therefore these they they're this those though three through thus to
  together too toward towards two under unless until up upon us use used uses using usually various very via want was wasn't way we we're well
  were weren't what what's whatever when where whereas wherever whether which while who who's whole whom whose why will with within without
  won't would wouldn't yes yet you you'll you're you've your yours yourself yourselves`.split(/\s+/),
)
