import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** What the system says of a process. `cwd` is known on Linux only. */
export interface ProcessFacts {
  parent: number
  command: string[]
  cwd?: string
}

const hasProc: boolean = existsSync('/proc/self/stat')

/**
 * Looks at a process without touching it. `dead` for none, and for one that has ended and waits for its parent;
 * `unknown` for one that this user may not look at.
 */
export function inspect(pid: number): ProcessFacts | 'dead' | 'unknown' {
  return hasProc ? inspectProc(pid) : inspectPs(pid)
}

/** The direct children of a process. */
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

/** Sends a signal; a process that has ended is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Resolves to whether all of the processes have ended within the time. */
export async function haveEnded(pids: number[], timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (pids.some((pid) => inspect(pid) !== 'dead')) {
    if (Date.now() > deadline) return false
    await sleep(10)
  }
  return true
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
    // The second field is the name in parentheses and may hold anything; state and parent follow the last parenthesis.
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
    return '' // ps fails when it finds none.
  }
}
