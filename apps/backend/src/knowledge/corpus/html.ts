/**
 * Reads raw HTML in Markdown for what can be linked to and from.
 *
 * @module
 */

/** Headings, anchors in lower case, and links, each in the order of the HTML. */
export interface HtmlContent {
  headings: Array<{ depth: number; text: string }>
  anchors: string[]
  links: Array<{ kind: 'link' | 'image'; url: string }>
}

/**
 * Reads anchors, links and headings, comments left out. Quantifiers are bounded, so the time is proportional to the
 * text.
 */
export function readHtml(html: string): HtmlContent {
  const content: HtmlContent = { headings: [], anchors: [], links: [] }
  const visible = removeComments(html)
  for (const match of visible.matchAll(/<h([1-6])(?:\s[^<>]{0,500})?>([\s\S]{0,1000}?)<\/h\1\s*>/gi)) {
    const text = match[2]!.replace(/<[^<>]{0,2000}>/g, '').trim()
    content.headings.push({ depth: Number(match[1]), text })
  }
  for (const [, name, attributes] of visible.matchAll(/<([a-z][a-z0-9]*)\s([^<>]{0,2000})>/gi)) {
    for (const match of attributes!.matchAll(
      /(?<![\w-])(id|name|href|src)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi,
    )) {
      const value = match[2] ?? match[3] ?? match[4] ?? ''
      const attribute = `${name} ${match[1]}`.toLowerCase()
      if (attribute === 'a name' || attribute.endsWith(' id')) content.anchors.push(value.toLowerCase())
      else if (attribute === 'a href') content.links.push({ kind: 'link', url: value })
      else if (attribute === 'img src') content.links.push({ kind: 'image', url: value })
    }
  }
  return content
}

function removeComments(html: string): string {
  let visible = ''
  let from = 0
  for (;;) {
    const start = html.indexOf('<!--', from)
    if (start === -1) return visible + html.slice(from)
    visible += html.slice(from, start)
    const end = html.indexOf('-->', start + 4)
    if (end === -1) return visible
    from = end + 3
  }
}
