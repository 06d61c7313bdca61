/**
 * Gives each queue one value of the label `queue`, and refuses two queues that would share one: their series would show
 * one or the other.
 *
 * @module
 */
import { InvalidOptionError } from '@data20/metrics-core/plugin'
import type { Observable } from './bullmq.ts'
import { QueueNameError } from './errors.ts'
import { serverOf } from './server.ts'

/** What tells queues of one name apart. */
export interface QueueIdentity {
  /** The name with the prefix. */
  qualifiedName: string
  /** The server and the database; `undefined` when it cannot be known. */
  server: string | undefined
}

export interface Names {
  /** Returns the label of a queue for a target. Throws when another queue has it, until its targets are released. */
  claim(target: Observable, queue: { name: string; qualifiedName: string }): string
  /** Frees the labels that a target has claimed. */
  release(target: Observable): void
}

export function createNames(labelOf: (queue: { name: string; qualifiedName: string }) => string): Names {
  const owners = new Map<string, Map<Observable, QueueIdentity>>()

  return { claim, release }

  function claim(target: Observable, queue: { name: string; qualifiedName: string }): string {
    const label = labelOf(queue)
    if (typeof label !== 'string' || label === '') {
      throw new InvalidOptionError('queueLabel', 'a function that returns a text', label)
    }
    const identity = { qualifiedName: queue.qualifiedName, server: serverOf(target) }
    const targets = owners.get(label) ?? new Map<Observable, QueueIdentity>()
    for (const [other, otherIdentity] of targets) {
      // A queue that was closed is noticed by the next scrape; it owns nothing until then.
      if (other.closing === undefined && !isSame(identity, otherIdentity)) {
        throw new QueueNameError(label, describe(otherIdentity), describe(identity))
      }
    }
    targets.set(target, identity)
    owners.set(label, targets)
    return label
  }

  function release(target: Observable): void {
    for (const [label, targets] of owners) {
      targets.delete(target)
      if (targets.size === 0) owners.delete(label)
    }
  }
}

function isSame(one: QueueIdentity, other: QueueIdentity): boolean {
  if (one.qualifiedName !== other.qualifiedName) return false
  return one.server === undefined || other.server === undefined || one.server === other.server
}

function describe({ qualifiedName, server = 'an unknown server' }: QueueIdentity): string {
  return `${qualifiedName} on ${server}`
}
