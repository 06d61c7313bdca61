/**
 * Finds the folder of the repository.
 *
 * @module
 */
import { existsSync } from 'node:fs'

/**
 * The folder of the repository. It is searched upwards, since tests run from the sources and scripts run from `dist`.
 */
export const root: URL = findRoot(new URL('.', import.meta.url))

function findRoot(folder: URL): URL {
  if (existsSync(new URL('pnpm-workspace.yaml', folder))) return folder
  const parent = new URL('..', folder)
  if (parent.href === folder.href) throw new Error('Expected pnpm-workspace.yaml in a parent folder, got none')
  return findRoot(parent)
}
