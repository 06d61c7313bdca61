/**
 * Which exposition format and which content coding a scraper gets, from its `Accept` and `Accept-Encoding`.
 *
 * @module
 */

/** The formats, each with the exact content type that Prometheus expects. */
export const CONTENT_TYPES = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openMetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const

export type Format = keyof typeof CONTENT_TYPES

/** The format with the highest quality; text 0.0.4 when nothing fits, so that a person with curl reads text. */
export function negotiateFormat(accept: string | undefined): Format {
  if (accept === undefined) return 'text'
  let best: Format = 'text'
  let bestQuality = 0
  for (const { value, parameters, quality } of parseHeader(accept)) {
    const format = formatOf(value, parameters)
    // The first of equals wins: a scraper writes what it prefers first.
    if (format !== undefined && quality > bestQuality) {
      best = format
      bestQuality = quality
    }
  }
  return best
}

/** Whether gzip is accepted. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const codings = parseHeader(acceptEncoding)
  const gzip = codings.find(({ value }) => value === 'gzip') ?? codings.find(({ value }) => value === '*')
  return gzip !== undefined && gzip.quality > 0
}

function formatOf(type: string, parameters: Map<string, string>): Format | undefined {
  const version = parameters.get('version')
  if (type === 'application/openmetrics-text') {
    return version === undefined || version === '1.0.0' || version === '0.0.1' ? 'openMetrics' : undefined
  }
  if (type === 'text/plain') return version === undefined || version === '0.0.4' ? 'text' : undefined
  return type === '*/*' || type === 'text/*' ? 'text' : undefined
}

/** A list header (RFC 9110, 5.6.1 and 12.4.2): values with parameters and quality, 1 where it is absent, 0 where it is no number. */
function parseHeader(header = ''): Array<{ value: string; parameters: Map<string, string>; quality: number }> {
  return header
    .split(',')
    .map((element) => {
      const [value = '', ...rest] = element.split(';').map((part) => part.trim())
      const parameters = new Map<string, string>()
      for (const part of rest) {
        const [name = '', text = ''] = part.split('=').map((piece) => piece.trim())
        parameters.set(name.toLowerCase(), text.replace(/^"(.*)"$/, '$1'))
      }
      const quality = Number(parameters.get('q') ?? 1)
      return { value: value.toLowerCase(), parameters, quality: quality >= 0 && quality <= 1 ? quality : 0 }
    })
    .filter(({ value }) => value !== '')
}
