import t from 'tap'
import { buildApp } from './traffic/app.ts'

t.test('the names, labels and help texts are these', async (t) => {
  const app = await buildApp({ sizes: true, responseStart: true, initialize: [200] })
  t.teardown(() => app.close())
  await app.inject('/nowhere')
  const text = (await app.metrics.expose()).body.toString()
  t.matchOnly(
    text.match(/^# (HELP|TYPE) http_.*$/gm)?.join('\n'),
    [
      '# HELP http_requests_total HTTP requests, however they ended. Status 499: the connection ended before any answer.',
      '# TYPE http_requests_total counter',
      '# HELP http_errors_total HTTP requests with a status of 400 and above.',
      '# TYPE http_errors_total counter',
      "# HELP http_request_duration_seconds Time from a request's headers read to its response's last byte handed to the system, or to the abort.",
      '# TYPE http_request_duration_seconds histogram',
      '# HELP http_requests_in_flight HTTP requests begun and not yet ended.',
      '# TYPE http_requests_in_flight gauge',
      '# HELP http_requests_aborted_total HTTP requests without a whole response: the client left before_headers or mid_response, or the server broke it off (truncated).',
      '# TYPE http_requests_aborted_total counter',
      '# HELP http_request_size_bytes Bytes of request bodies as received.',
      '# TYPE http_request_size_bytes histogram',
      '# HELP http_response_size_bytes Bytes of response bodies as written, before the framing of chunks.',
      '# TYPE http_response_size_bytes histogram',
      "# HELP http_response_start_seconds Time from a request's headers read to its response's headers written.",
      '# TYPE http_response_start_seconds histogram',
      '# HELP http_stream_duration_seconds Time that a long-lived response was open: an event stream, an upgraded connection, or one of a stream route.',
      '# TYPE http_stream_duration_seconds histogram',
      '# HELP http_streams_open Long-lived responses that are open. They are in flight too.',
      '# TYPE http_streams_open gauge',
      '# HELP http_parser_errors_total Bytes that never became a request: malformed, too long or too late, by the code of the error.',
      '# TYPE http_parser_errors_total counter',
    ].join('\n'),
  )
  t.match(text, 'http_requests_total{endpoint="unmatched",method="GET",status="404"} 1\n')
  t.match(text, 'http_errors_total{endpoint="unmatched",method="GET",status="404"} 1\n')
  t.match(text, 'http_request_duration_seconds_bucket{endpoint="unmatched",method="GET",le="10.0"} 1\n')
  t.match(text, 'http_requests_in_flight{endpoint="unmatched",method="GET"} 0\n')
  t.match(text, 'http_requests_aborted_total{endpoint="unmatched",method="GET",phase="before_headers"} 0\n')
})
