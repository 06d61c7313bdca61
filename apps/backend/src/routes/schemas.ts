/**
 * Schemas that several routes share.
 *
 * @module
 */

/** The body of every error answer. That of a run that did not complete also identifies the run. */
export const ErrorBody = {
  type: 'object',
  properties: {
    statusCode: { type: 'integer' },
    code: { type: 'string', description: 'For programs: what went wrong.' },
    error: { type: 'string', description: 'The name of the status.' },
    message: { type: 'string', description: 'For people: what went wrong.' },
    details: {
      type: 'array',
      items: {
        type: 'object',
        properties: { field: { type: 'string' }, message: { type: 'string' } },
        required: ['field', 'message'],
      },
    },
    run_id: { type: 'string' },
    tool: { type: 'string' },
    status: { type: 'string' },
  },
  required: ['statusCode', 'code', 'error', 'message'],
} as const
