/**
 * The folder of everything that is fetched, and a lock between processes.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Returns the folder for everything that is fetched: `DATA20_CACHE`, else `$XDG_CACHE_HOME/data20`, else below the
 * repository's node_modules.
 */
export function cacheDirectory(): string {
  const { DATA20_CACHE, XDG_CACHE_HOME } = process.env
  if (DATA20_CACHE) return resolve(DATA20_CACHE)
  if (XDG_CACHE_HOME) return resolve(XDG_CACHE_HOME, 'data20')
  return join(repositoryRoot(), 'node_modules/.cache/data20')
}

/**
 * Runs `work` while this process holds the lock. The `flock` command holds it in the kernel and exits when its standard
 * input closes, so a killed process leaves no lock behind.
 */
export async function withLock<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  mkdirSync(dirname(file), { recursive: true })
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(holder, 'close')
  await Promise.race([once(holder.stdout, 'data'), ended])
  if (holder.exitCode !== null) throw new Error(`flock did not lock ${file}: exit code ${holder.exitCode}`)
  try {
    return await work()
  } finally {
    holder.stdin.end()
    await ended
  }
}

function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'pnpm-workspace.yaml')) && folder !== dirname(folder)) folder = dirname(folder)
  return folder
}
