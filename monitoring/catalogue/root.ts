import { existsSync } from 'node:fs'

/** The folder of the repository, found from this file: it runs from its source in tests and from `dist` in scripts. */
export const root: URL = findRoot(new URL('.', import.meta.url))

function findRoot(folder: URL): URL {
  if (existsSync(new URL('pnpm-workspace.yaml', folder))) return folder
  const parent = new URL('..', folder)
  if (parent.href === folder.href) throw new Error('Expected pnpm-workspace.yaml in a folder above, got none')
  return findRoot(parent)
}
