/**
 * The errors that tool-metrics throws.
 *
 * @module
 */
import createError, { type FastifyErrorConstructor } from '@fastify/error'

/** The tool is not observed. Argument: its name. */
export const UnregisteredToolError: FastifyErrorConstructor<{ code: string; statusCode: 404 }, [string]> = createError(
  'TOOL_METRICS_ERR_UNREGISTERED',
  'Expected the name of a registered tool, got %s',
  404,
)
