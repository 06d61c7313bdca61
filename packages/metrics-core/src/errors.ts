/**
 * The errors of metrics-core, and those that every plugin shares. Wrong configuration throws at registration. After
 * `ready`, only an instrument throws: for a wrong value or an unknown label, as prom-client does.
 *
 * @module
 */
import { createError, type FastifyErrorConstructor } from '@fastify/error'

/** An option has an invalid value. Arguments: option, expected, actual. */
export const InvalidOptionError: FastifyErrorConstructor<{ code: string }, [string, string, unknown]> = createError(
  'METRICS_ERR_OPTION',
  'Expected option `%s` to be %s, got %s',
  500,
)

/** A plugin has no option of that name. Arguments: the plugin or nested option, the name, what is meant or known. */
export const UnknownOptionError: FastifyErrorConstructor<{ code: string }, [string, string, string]> = createError(
  'METRICS_ERR_UNKNOWN_OPTION',
  'Expected an option of %s, got `%s`; %s',
  500,
)

/** A plugin was registered a second time with options. Argument: its name. */
export const AlreadyRegisteredError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'METRICS_ERR_ALREADY_REGISTERED',
  'Expected @data20/%s to be registered with its options once, before the plugins that use it, got a second registration with options',
  500,
)

/** Another plugin has the decorator of metrics-core. Arguments: none. */
export const DecoratorTakenError: FastifyErrorConstructor<{ code: string }, []> = createError(
  'METRICS_ERR_DECORATOR',
  'Expected the decorator `metrics` to be that of @data20/metrics-core, got one of another plugin; register one of them in a part of the application of its own',
  500,
)

/** A different metric has that name. Arguments: name, expected, actual. */
export const MetricMismatchError: FastifyErrorConstructor<{ code: string }, [string, string, string]> = createError(
  'METRICS_ERR_MISMATCH',
  'Expected metric `%s` to be %s as when it was first made, got %s',
  500,
)

/** Prometheus refuses a name. Arguments: the kind of name, the name. */
export const InvalidNameError: FastifyErrorConstructor<{ code: string }, [string, unknown]> = createError(
  'METRICS_ERR_NAME',
  'Expected a %s that Prometheus accepts, got %s',
  500,
)

/** A metric does not have a label. Arguments: metric, its labels, the label. */
export const UnknownLabelError: FastifyErrorConstructor<{ code: string }, [string, string, unknown]> = createError(
  'METRICS_ERR_LABEL',
  'Expected a label of `%s` (%s), got %s',
  500,
)

/** The number of label values is not that of the label names. Arguments: metric, its labels, number of values. */
export const LabelCountError: FastifyErrorConstructor<{ code: string }, [string, string, number]> = createError(
  'METRICS_ERR_LABEL_COUNT',
  'Expected a value for each label of `%s` (%s), got %d values',
  500,
)

/** Cluster workers did not answer the primary before the deadline. Argument: their ids. */
export const NoAnswerError: FastifyErrorConstructor<{ code: string }, [string]> = createError(
  'METRICS_ERR_NO_ANSWER',
  'Expected the metrics of worker %s before the deadline, got no answer',
  500,
)

/** A value is not a finite number. Argument: the value. */
export const InvalidValueError: FastifyErrorConstructor<{ code: string }, [unknown]> = createError(
  'METRICS_ERR_VALUE',
  'Expected a finite number, got %s',
  500,
  TypeError,
)

/** A counter's increment is negative. Argument: the value. */
export const DecreaseError: FastifyErrorConstructor<{ code: string }, [unknown]> = createError(
  'METRICS_ERR_DECREASE',
  'Expected a counter to increase, got %s',
  500,
  RangeError,
)
