/**
 * `fastify.queueMetrics.observe(queue)`, `.observe(worker)` and `.observe(flowProducer)`: outcomes, durations, waiting
 * times and the state of BullMQ's queues, on Redis and on PostgreSQL.
 *
 * @module
 */
import { ensureMetrics } from '@data20/metrics-core/plugin'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import {
  isFlowProducer,
  isQueue,
  isWorker,
  type Observable,
  type ObservableFlowProducer,
  type ObservableQueue,
  type ObservableWorker,
} from './bullmq.ts'
import { QueueNameError, UnwatchableError } from './errors.ts'
import { createInstruments } from './instruments.ts'
import { createNames } from './names.ts'
import { type QueueMetricsOptions, resolveOptions } from './options.ts'
import { measureAdding, observeFlows, observeScheduling } from './producer.ts'
import { observeQueue } from './queue.ts'
import { observeWorker } from './worker.ts'
import { observeWorkerState } from './worker-state.ts'

/** What applications find at `fastify.queueMetrics`. */
export interface QueueMetrics {
  /**
   * Counts the jobs of a BullMQ Worker from now on, reads the state of a BullMQ Queue on each scrape and counts what it
   * adds, or counts what a FlowProducer adds, until it or the application is closed. Observing it again changes
   * nothing. Adds no listener for `error`: handling it stays with the application. Throws for anything else, and for a
   * queue whose label another queue has.
   */
  observe(target: Observable): void
  /** @deprecated Use `observe`. */
  watch(target: Observable): void
}

declare module 'fastify' {
  interface FastifyInstance {
    queueMetrics: QueueMetrics
  }
}

async function queueMetrics(fastify: FastifyInstance, options: QueueMetricsOptions): Promise<void> {
  const resolved = resolveOptions(options)
  const { queues, workers, flowProducers, queueLabel } = resolved
  const metrics = await ensureMetrics(fastify)
  const instruments = createInstruments(metrics, resolved)
  const names = createNames(queueLabel)
  const workerState = observeWorkerState(metrics, instruments)
  const release = new Map<object, () => void>()

  for (const target of [...queues, ...workers, ...flowProducers]) add(target, true)

  fastify.decorate('queueMetrics', { observe, watch: observe })

  fastify.addHook('onClose', async () => {
    for (const target of release.keys()) stop(target)
  })

  function observe(target: Observable): void {
    add(target, false)
  }

  function add(target: Observable, isKnown: boolean): void {
    if (release.has(target)) return
    if (isWorker(target)) addWorker(target, isKnown)
    else if (isQueue(target)) addQueue(target, isKnown)
    else if (isFlowProducer(target)) release.set(target, observeFlows(target, names, instruments, metrics))
    else throw new UnwatchableError(describe(target))
  }

  function addWorker(worker: ObservableWorker, isKnown: boolean): void {
    const label = names.claim(worker, worker)
    const series = instruments.bindWorker(label, isKnown)
    const undo = [
      observeWorker(worker, series, () => stop(worker)),
      observeScheduling(worker, instruments.bindAdded(label)),
      workerState.add(label, worker),
      () => names.release(worker),
    ]
    release.set(worker, () => runAll(undo))
  }

  function addQueue(queue: ObservableQueue, isKnown: boolean): void {
    const label = names.claim(queue, queue)
    const count = instruments.bindAdded(label)
    const undo = [
      observeQueue(queue, label, instruments.acquireQueue(label, isKnown), metrics, () => stop(queue)),
      measureAdding(queue.getBackend(), ({ task }) => count(task)),
      () => instruments.releaseQueue(label),
      () => names.release(queue),
    ]
    release.set(queue, () => runAll(undo))
  }

  function stop(target: object): void {
    const undo = release.get(target)
    release.delete(target)
    undo?.()
  }
}

function runAll(undo: ReadonlyArray<() => void>): void {
  for (const one of undo) one()
}

function describe(target: unknown): string {
  const name = (target as object | null | undefined)?.constructor?.name
  return name === undefined ? `${target}` : `an instance of ${name}`
}

const plugin: FastifyPluginAsync<QueueMetricsOptions> = fp(queueMetrics, {
  name: '@data20/queue-metrics',
  fastify: '5.x',
})

/** @deprecated Use `ObservableQueue`. */
export type WatchedQueue = ObservableQueue
/** @deprecated Use `ObservableWorker`. */
export type WatchedWorker = ObservableWorker
export type { Observable, ObservableFlowProducer, ObservableQueue, ObservableWorker, QueueMetricsOptions }
export { plugin as default, plugin as queueMetrics, QueueNameError, UnwatchableError }
