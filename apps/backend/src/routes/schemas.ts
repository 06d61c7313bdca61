/**
 * Schemas that several routes share.
 *
 * @module
 */
import { Type } from 'typebox'

/** The body of every error answer. That of a run that did not complete also identifies the run. */
export const ErrorBody = Type.Object({
  statusCode: Type.Integer(),
  code: Type.String({ description: 'For programs: what went wrong.' }),
  error: Type.String({ description: 'The name of the status.' }),
  message: Type.String({ description: 'For people: what went wrong.' }),
  details: Type.Optional(Type.Array(Type.Object({ field: Type.String(), message: Type.String() }))),
  run_id: Type.Optional(Type.String()),
  tool: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
})
