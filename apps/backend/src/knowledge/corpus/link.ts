/**
 * Resolves links to their targets.
 *
 * @module
 */
import { posix } from 'node:path'
import type { Corpus } from './corpus.ts'
import type { Document, Link } from './document.ts'

/** Target of a link. `fragment` is the decoded part after `#`, empty when there is none. */
export type Target =
  | { kind: 'external' }
  | { kind: 'document'; document: Document; fragment: string }
  | { kind: 'file' | 'directory' | 'missing'; fragment: string }
  | { kind: 'malformed' | 'outside' }

// RFC 3986, section 3.1, and network-path references (`//host`).
const EXTERNAL = /^(?:[a-z][a-z0-9+.-]*:|\/\/)/i
const INDEX_NAMES = ['README.md', 'readme.md', 'Readme.md', 'index.md', 'README.markdown', 'index.markdown']

/**
 * Resolves a link as GitHub does: percent-decoded, without its query, from the folder of its document, or from the root
 * when it starts with `/`. A link to a folder leads to the README or index document in it, where there is one. A link
 * that leaves the corpus folder is `outside`, and its target is never looked up.
 */
export async function resolveLink(corpus: Corpus, document: Document, link: Link): Promise<Target> {
  const url = link.url.trim()
  if (EXTERNAL.test(url)) return { kind: 'external' }
  const [beforeFragment = '', ...rest] = url.split('#')
  const path = decode(beforeFragment.split('?')[0]!)
  const fragment = decode(rest.join('#'))
  if (path === undefined || fragment === undefined || path.includes('\0')) return { kind: 'malformed' }
  if (path === '') return { kind: 'document', document, fragment }

  const joined = path.startsWith('/') ? `.${path}` : posix.join(posix.dirname(document.id), path)
  const normalized = posix.normalize(joined)
  if (normalized === '..' || normalized.startsWith('../')) return { kind: 'outside' }
  const place = await corpus.locate(normalized.replace(/\/+$/, ''))
  if (place.kind === 'document') {
    // `file.md/` names a folder, and there is none.
    return path.endsWith('/') ? { kind: 'missing', fragment } : { ...place, fragment }
  }
  if (place.kind === 'directory') {
    for (const name of INDEX_NAMES) {
      const index = corpus.byId.get(posix.join(place.path, name))
      if (index) return { kind: 'document', document: index, fragment }
    }
  }
  return place.kind === 'outside' ? { kind: 'outside' } : { kind: place.kind, fragment }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
