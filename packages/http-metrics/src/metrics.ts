/**
 * Defines the metrics of the package as data. Names and labels are public API.
 *
 * @module
 */
import type { LabelValues } from '@data20/metrics-core/plugin'

export const definitions = {
  requests: {
    type: 'counter',
    name: 'http_requests_total',
    help: 'HTTP requests, however they ended. Status 499: the connection ended before any answer.',
    labelNames: ['endpoint', 'method', 'status'],
  },
  duration: {
    type: 'histogram',
    name: 'http_request_duration_seconds',
    help: "Time from a request's headers read to its response's last byte handed to the system, or to the abort.",
    labelNames: ['endpoint', 'method'],
    unit: 'seconds',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  errors: {
    type: 'counter',
    name: 'http_errors_total',
    help: 'HTTP requests with a status of 400 and above.',
    labelNames: ['endpoint', 'method', 'status'],
  },
  inFlight: {
    type: 'gauge',
    name: 'http_requests_in_flight',
    help: 'HTTP requests begun and not yet ended.',
    labelNames: ['endpoint', 'method'],
    aggregator: 'sum',
  },
  aborted: {
    type: 'counter',
    name: 'http_requests_aborted_total',
    help: 'HTTP requests without a whole response: the client left before_headers or mid_response, or the server broke it off (truncated).',
    labelNames: ['endpoint', 'method', 'phase'],
  },
  streamDuration: {
    type: 'histogram',
    name: 'http_stream_duration_seconds',
    help: 'Time that a long-lived response was open: an event stream, an upgraded connection, or one of a stream route.',
    labelNames: ['endpoint', 'method'],
    condition: 'from the first such response',
    unit: 'seconds',
    buckets: [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400],
  },
  streamsOpen: {
    type: 'gauge',
    name: 'http_streams_open',
    help: 'Long-lived responses that are open. They are in flight too.',
    labelNames: ['endpoint', 'method'],
    condition: 'from the first such response',
    aggregator: 'sum',
  },
  responseStart: {
    type: 'histogram',
    name: 'http_response_start_seconds',
    help: "Time from a request's headers read to its response's headers written.",
    labelNames: ['endpoint', 'method'],
    condition: 'with the option `responseStart`',
    unit: 'seconds',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  parserErrors: {
    type: 'counter',
    name: 'http_parser_errors_total',
    help: 'Bytes that never became a request: malformed, too long or too late, by the code of the error.',
    labelNames: ['code'],
    maxSeries: false,
  },
  requestSize: {
    type: 'histogram',
    name: 'http_request_size_bytes',
    help: 'Bytes of request bodies as received.',
    labelNames: ['endpoint', 'method'],
    condition: 'with the option `sizes`',
    unit: 'bytes',
    buckets: [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
  },
  responseSize: {
    type: 'histogram',
    name: 'http_response_size_bytes',
    help: 'Bytes of response bodies as written, before the framing of chunks.',
    labelNames: ['endpoint', 'method'],
    condition: 'with the option `sizes`',
    unit: 'bytes',
    buckets: [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
  },
} as const

/** The endpoint of requests that matched no route. */
export const UNMATCHED = 'unmatched'

/** The value of the label `method`, and of a custom label, for everything outside its known values. */
export const OTHER_METHOD = 'OTHER'
export const OTHER_VALUE = 'other'

/** The methods that Fastify routes unless an application adds others. */
const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE', OTHER_METHOD]

/** A status is a number of three digits, or with the option `groupStatus` its class. */
const STATUSES = [...Array.from({ length: 500 }, (_, index) => `${100 + index}`), '1xx', '2xx', '3xx', '4xx', '5xx']

/** How a request ended whose response is incomplete. */
export const PHASES = ['before_headers', 'mid_response', 'truncated'] as const
export type Phase = (typeof PHASES)[number]

/** Parser errors with a series of their own: common mistakes of clients, and attacks. Node.js has two dozen more. */
export const PARSER_ERROR_CODES = [
  'ERR_HTTP_REQUEST_TIMEOUT',
  'HPE_CHUNK_EXTENSIONS_OVERFLOW',
  'HPE_CLOSED_CONNECTION',
  'HPE_HEADER_OVERFLOW',
  'HPE_INVALID_CHUNK_SIZE',
  'HPE_INVALID_CONSTANT',
  'HPE_INVALID_CONTENT_LENGTH',
  'HPE_INVALID_EOF_STATE',
  'HPE_INVALID_HEADER_TOKEN',
  'HPE_INVALID_METHOD',
  'HPE_INVALID_TRANSFER_ENCODING',
  'HPE_INVALID_URL',
  'HPE_INVALID_VERSION',
  'other',
] as const

/** The values of the labels that have a fixed set of values. */
export const labelValues: LabelValues = { method: METHODS, status: STATUSES, phase: PHASES, code: PARSER_ERROR_CODES }
