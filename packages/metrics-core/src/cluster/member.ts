/**
 * This process as a member of `node:cluster`: the primary merges the metrics of all processes into its own, a worker
 * answers the primary.
 *
 * @module
 */
import cluster from 'node:cluster'
import type { LabelValue } from '../encoding/labels.ts'
import type { Family } from '../instruments/family.ts'
import { type AnyInstrument, isInstrument } from '../instruments/instrument.ts'
import type { Collectors } from '../scrape/collectors.ts'
import { aggregate, type Snapshot, toPortable } from './aggregate.ts'
import { createPrimary } from './primary.ts'
import { createWorker } from './worker.ts'

/** How a process sees its cluster. Outside of a cluster it is alone. */
export interface ClusterMember {
  /** Returns the families to expose: those of all processes in the primary, otherwise this process's own. */
  families(): Array<AnyInstrument | Family>
  /** Ends the membership. A worker sends its last numbers; the promise resolves when they are on their way. */
  close(): Promise<void> | undefined
}

/** What a member needs of its own process. */
export interface OwnMetrics {
  families(): Array<AnyInstrument | Family>
  constantLabels(): Record<string, LabelValue>
  collect(budgetMs: number): Promise<unknown> | undefined
}

/** Joins the cluster when `isEnabled`. The primary adds the collector `cluster`. */
export function joinCluster(isEnabled: boolean, own: OwnMetrics, collectors: Collectors): ClusterMember {
  const primary = isEnabled && cluster.isPrimary ? createPrimary() : undefined
  const worker = isEnabled && cluster.isWorker ? createWorker(collectedSnapshot) : undefined
  if (primary) collectors.add('cluster', primary.collect)

  return {
    families: () => (primary === undefined ? own.families() : aggregate([snapshot(), ...primary.snapshots()])),
    close() {
      const sent = worker?.close(snapshot())
      primary?.close()
      return sent
    },
  }

  function snapshot(): Snapshot {
    const labels = own.constantLabels()
    return own
      .families()
      .map((family) => (isInstrument(family) ? toPortable(family.describe(), {}) : toPortable(family, labels)))
  }

  async function collectedSnapshot(budgetMs: number): Promise<Snapshot> {
    await own.collect(budgetMs)
    return snapshot()
  }
}
