/**
 * The errors of queue-metrics itself. Options that cannot work are an `InvalidOptionError` of metrics-core.
 *
 * @module
 */
import createError, { type FastifyErrorConstructor } from '@fastify/error'

/** Neither a Queue nor a Worker. Argument: what it is. */
export const UnwatchableError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'QUEUE_METRICS_ERR_UNWATCHABLE',
  'Expected a Queue or a Worker of BullMQ 6, got %s',
  500,
)
