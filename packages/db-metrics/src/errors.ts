/**
 * The errors of db-metrics itself. Options that cannot work are an `InvalidOptionError` of metrics-core.
 *
 * @module
 */
import createError, { type FastifyErrorConstructor } from '@fastify/error'

/** Two pools under one name, or two names for one pool. Argument: the name. */
export const PoolNameError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'DB_METRICS_ERR_POOL_NAME',
  'Expected each pool to be observed under one name of its own, got %s a second time',
  500,
)
