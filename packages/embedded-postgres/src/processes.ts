/**
 * Looks at processes and signals them, through /proc or `ps`.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The facts about a process. `cwd` is known on Linux only. */
export interface ProcessFacts {
  parent: number
  command: string[]
  cwd?: string
}

const hasProc: boolean = existsSync('/proc/self/stat')

/**
 * Inspects a process without affecting it. Returns `dead` if it does not exist, is ending, or is a zombie, and
 * `unknown` if this user has no permission to inspect it.
 */
export function inspect(pid: number): ProcessFacts | 'dead' | 'unknown' {
  return hasProc ? inspectProc(pid) : inspectPs(pid)
}

/** Returns the pids of the direct children of a process. */
export function childrenOf(pid: number): number[] {
  if (!hasProc) {
    const rows = ps(['-A', '-o', 'pid=,ppid=']).trim().split('\n')
    return rows
      .map((row) => row.trim().split(/\s+/).map(Number))
      .flatMap(([child, parent]) => (parent === pid ? [child!] : []))
  }
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return pids.filter((child) => {
    const stat = statOf(child)
    return stat !== 'dead' && stat.parent === pid
  })
}

/** Returns the pids of all processes below a process. */
export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [...descendantsOf(child), child])
}

/** Sends a signal. Does nothing if the process has ended. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Resolves to `true` once all of the processes have ended, or to `false` after the timeout. */
export async function haveEnded(pids: number[], timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (!pids.every(hasEnded)) {
    if (Date.now() > deadline) return false
    await sleep(10)
  }
  return true
}

/** Tells whether a process has ended. Until its parent has taken note of that it is a zombie. */
export function hasEnded(pid: number): boolean {
  // The folder and the command line of a process that is ending are gone while it still holds other resources, so only
  // its state counts.
  return (hasProc ? statOf(pid) : inspectPs(pid)) === 'dead'
}

function inspectProc(pid: number): ProcessFacts | 'dead' | 'unknown' {
  const stat = statOf(pid)
  if (stat === 'dead') return 'dead'
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return { parent: stat.parent, command, cwd: readlinkSync(`/proc/${pid}/cwd`) }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'unknown' : 'dead'
  }
}

function statOf(pid: number): { parent: number } | 'dead' {
  try {
    // The second field is the name in parentheses and may contain anything. State and parent follow the last
    // parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' || state === 'X' ? 'dead' : { parent: Number(parent) }
  } catch {
    return 'dead'
  }
}

function inspectPs(pid: number): ProcessFacts | 'dead' {
  const [parent, state, ...command] = ps(['-ww', '-o', 'ppid=,state=,command=', '-p', String(pid)])
    .trim()
    .split(/\s+/)
  return !parent || state?.startsWith('Z') ? 'dead' : { parent: Number(parent), command }
}

function ps(args: string[]): string {
  try {
    return execFileSync('ps', args, { encoding: 'utf8' })
  } catch {
    return '' // ps fails if it finds no process.
  }
}
