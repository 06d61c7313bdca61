/**
 * URLs and e-mail addresses that GitHub turns into links without any markup.
 *
 * @module
 */

// Every quantifier starts where the character before it cannot match, so the search is linear.
const AUTOLINK =
  /(?<![a-z0-9])https?:\/\/(?=[\p{L}\p{N}])[^\s<]{1,4000}|(?<![^\s*_~([\]])www\.(?=[\p{L}\p{N}])[^\s<]{1,4000}|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+(?<=[a-z])(?![\w-])/giu
const TRAILING_PUNCTUATION = new Set('?!.,:*_~\'"]')

/** Returns the targets of the autolinks in a string of plain text: GitHub Flavored Markdown, section 6.9. */
export function findAutolinks(text: string): string[] {
  if (!text.includes('@') && !/https?:|www\./i.test(text)) return []
  const urls: string[] = []
  for (const [match] of text.matchAll(AUTOLINK)) {
    const isUrl = /^(?:https?:|www\.)/i.test(match)
    if (!isUrl) urls.push(`mailto:${match}`)
    else if (hasValidHost(match)) urls.push(trimEnd(/^www/i.test(match) ? `http://${match}` : match))
  }
  return urls
}

/** The last two labels of the host must not contain an underscore. */
function hasValidHost(url: string): boolean {
  const host = /^(?:https?:\/\/)?([^/?#:]*)/i.exec(url)![1]!
  return !host.split('.').slice(-2).join('').includes('_')
}

/** Removes the punctuation that ends the sentence and not the URL, and closing parentheses without an opening one. */
function trimEnd(url: string): string {
  let surplus = url.split(')').length - url.split('(').length
  let end = url.length
  for (; end > 0; end--) {
    if (url[end - 1] === ')' && surplus > 0) surplus--
    else if (!TRAILING_PUNCTUATION.has(url[end - 1]!)) break
  }
  return url.slice(0, end)
}
