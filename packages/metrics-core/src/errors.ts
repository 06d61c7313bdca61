/**
 * Every error that the packages of this repository throw on purpose. Wrong configuration throws at registration;
 * after `ready` only a wrong value or label name given to an instrument throws, as it does in prom-client.
 *
 * @module
 */
import { createError, type FastifyErrorConstructor } from '@fastify/error'

/** An option has a value that cannot work. Arguments: option, what was expected, what was got. */
export const InvalidOptionError: FastifyErrorConstructor<{ code: string }, [string, string, unknown]> = createError(
  'METRICS_ERR_OPTION',
  'Expected option `%s` to be %s, got %s',
  500,
)

/** The plugin stands already, registered with other options. Argument: its name. */
export const AlreadyRegisteredError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'METRICS_ERR_ALREADY_REGISTERED',
  'Expected @data20/%s to be registered with its options once, before what uses it, got a second registration with options',
  500,
)

/** A metric of that name exists and is not the same. Arguments: name, what was expected, what was got. */
export const MetricMismatchError: FastifyErrorConstructor<{ code: string }, [string, string, string]> = createError(
  'METRICS_ERR_MISMATCH',
  'Expected metric `%s` to be %s as when it was first made, got %s',
  500,
)

/** A name that Prometheus would refuse. Arguments: what it names, the name. */
export const InvalidNameError: FastifyErrorConstructor<{ code: string }, [string, unknown]> = createError(
  'METRICS_ERR_NAME',
  'Expected a %s that Prometheus accepts, got %s',
  500,
)

/** A label that the metric does not have. Arguments: metric, its labels, the label. */
export const UnknownLabelError: FastifyErrorConstructor<{ code: string }, [string, string, unknown]> = createError(
  'METRICS_ERR_LABEL',
  'Expected a label of `%s` (%s), got %s',
  500,
)

/** Label values were given in a row and are not as many as the labels. Arguments: metric, its labels, how many there were. */
export const LabelCountError: FastifyErrorConstructor<{ code: string }, [string, string, number]> = createError(
  'METRICS_ERR_LABEL_COUNT',
  'Expected a value for each label of `%s` (%s), got %d values',
  500,
)

/** Workers of a cluster did not answer the primary in time. Argument: their numbers. */
export const NoAnswerError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'METRICS_ERR_NO_ANSWER',
  'Expected the metrics of worker %s before the deadline, got no answer',
  500,
)

/** A value that is no finite number. Argument: the value. */
export const InvalidValueError: FastifyErrorConstructor<{ code: string }, [unknown]> = createError(
  'METRICS_ERR_VALUE',
  'Expected a finite number, got %s',
  500,
  TypeError,
)

/** A counter was asked to go down. Argument: the value. */
export const DecreaseError: FastifyErrorConstructor<{ code: string }, [unknown]> = createError(
  'METRICS_ERR_DECREASE',
  'Expected a counter to increase, got %s',
  500,
  RangeError,
)

/** An exemplar's labels are longer than OpenMetrics allows. Argument: the length. */
export const ExemplarTooLongError: FastifyErrorConstructor<{ code: string }, [number]> = createError(
  'METRICS_ERR_EXEMPLAR',
  'Expected exemplar labels of at most 128 characters in all, got %d',
  500,
  RangeError,
)
