/**
 * `check_links`: broken links and images.
 *
 * @module
 */
import type { Corpus } from '../corpus/corpus.ts'
import { resolveLink, type Target } from '../corpus/link.ts'
import type { Tool } from './tool.ts'

/**
 * What `check_links` answers. Links are listed by document and line; each list ends at 1000 with `truncated` set, the
 * totals count all.
 */
export interface LinksResult {
  broken: BrokenLink[]
  /** Links that leave the folder. Their targets are never looked up. */
  outside: FoundLink[]
  totals: { links: number; external: number; broken: number; outside: number }
  truncated: boolean
}

interface FoundLink {
  document: string
  line: number
  url: string
}

interface BrokenLink extends FoundLink {
  reason: 'missing_file' | 'missing_anchor' | 'malformed_url'
}

const MAX_LISTED = 1000

const parameters = { type: 'object', properties: {}, additionalProperties: false } as const

/** External links (`https:`, `mailto:`) are counted, and never fetched. */
export const tool: Tool = {
  name: 'check_links',
  description: 'Broken relative links and anchors, images included, and links that leave the folder.',
  parameters,
  run,
}

async function run(corpus: Corpus): Promise<LinksResult> {
  const broken: BrokenLink[] = []
  const outside: FoundLink[] = []
  const totals = { links: 0, external: 0, broken: 0, outside: 0 }
  for (const document of corpus.documents) {
    for (const link of document.links) {
      totals.links++
      const target = await resolveLink(corpus, document, link)
      const found = { document: document.id, line: link.line, url: link.url }
      const reason = whyBroken(target)
      if (target.kind === 'external') totals.external++
      if (target.kind === 'outside' && ++totals.outside <= MAX_LISTED) outside.push(found)
      if (reason && ++totals.broken <= MAX_LISTED) broken.push({ ...found, reason })
    }
  }
  return { broken, outside, totals, truncated: totals.broken > MAX_LISTED || totals.outside > MAX_LISTED }
}

function whyBroken(target: Target): BrokenLink['reason'] | undefined {
  if (target.kind === 'malformed') return 'malformed_url'
  if (target.kind === 'missing') return 'missing_file'
  if (target.kind === 'document' && !hasAnchor(target.document.anchors, target.fragment)) return 'missing_anchor'
  return undefined
}

/**
 * GitHub finds an anchor whatever the case of the fragment, and under its own prefix `user-content-` as well.
 * `#` and `#top` are the top of the page (HTML, “Scrolling to a fragment”); `#:~:text=` marks text.
 */
function hasAnchor(anchors: Set<string>, fragment: string): boolean {
  const name = fragment.split(':~:')[0]!.toLowerCase()
  return name === '' || name === 'top' || anchors.has(name) || anchors.has(name.replace(/^user-content-/, ''))
}
