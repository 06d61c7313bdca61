/**
 * The errors of queue-metrics itself. Options that cannot work are an `InvalidOptionError` of metrics-core.
 *
 * @module
 */
import createError, { type FastifyErrorConstructor } from '@fastify/error'

/** Neither a Queue nor a Worker nor a FlowProducer. Argument: what it is. */
export const UnwatchableError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'QUEUE_METRICS_ERR_UNWATCHABLE',
  'Expected a Queue, a Worker or a FlowProducer of BullMQ 6, got %s',
  500,
)

/** Two queues with one label. Arguments: the label, the queue that has it, the other queue. */
export const QueueNameError: FastifyErrorConstructor<{ code: string }, [string, string, string]> = createError(
  'QUEUE_METRICS_ERR_QUEUE_NAME',
  'Expected queues with labels of their own, got "%s" for both %s and %s. Give each a name with the option `queueLabel`',
  500,
)
