/**
 * The errors that cache-metrics throws.
 *
 * @module
 */
import createError, { type FastifyErrorConstructor } from '@fastify/error'

/** A cache cannot be observed as requested. Arguments: the type, the expectation, the actual value. */
export const CacheError: FastifyErrorConstructor<{ code: string }, [string, string, string]> = createError(
  'CACHE_METRICS_ERR_CACHE',
  'Expected cache `%s` to be %s, got %s',
  500,
)
