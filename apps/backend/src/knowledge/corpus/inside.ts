/**
 * Resolves paths without ever looking outside of a folder.
 *
 * @module
 */
import type { Stats } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import { isAbsolute, join, relative, sep } from 'node:path'

/** The two spellings of the folder: as given, and real. An absolute symbolic link inside may use either. */
export interface Folder {
  given: string
  root: string
}

/** Where a path leads. The stats are absent when it ends in `..` or in the folder itself. */
export type Resolved =
  | { kind: 'inside'; path: string; stats: Stats | undefined }
  | { kind: 'missing' }
  | { kind: 'outside' }

// Linux gives up (ELOOP) after as many.
const MAX_LINK_HOPS = 40

/**
 * Resolves a path like `realpath`, segment by segment from the root, and stops before the first step outside.
 * `realpath` itself would look at what is outside, and its errors would tell what exists there.
 */
export async function resolveInside(folder: Folder, path: string): Promise<Resolved> {
  const pending = path.split('/').reverse()
  let current: string[] = []
  let stats: Stats | undefined
  for (let hops = 0; pending.length > 0; ) {
    const segment = pending.pop()!
    if (segment === '' || segment === '.') continue
    if (segment === '..') {
      if (current.length === 0) return { kind: 'outside' }
      current.pop()
      stats = undefined
      continue
    }
    try {
      const candidate = join(folder.root, ...current, segment)
      stats = await lstat(candidate)
      if (!stats.isSymbolicLink()) {
        current.push(segment)
        continue
      }
      if (++hops > MAX_LINK_HOPS) return { kind: 'missing' }
      let target = await readlink(candidate)
      if (isAbsolute(target)) {
        const inside = insideOf(folder.root, target) ?? insideOf(folder.given, target)
        if (inside === undefined) return { kind: 'outside' }
        target = inside
        current = []
      }
      stats = undefined
      pending.push(...target.split(sep).reverse())
    } catch {
      return { kind: 'missing' }
    }
  }
  return { kind: 'inside', path: current.join('/'), stats }
}

function insideOf(root: string, target: string): string | undefined {
  const path = relative(root, target)
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path) ? undefined : path
}
