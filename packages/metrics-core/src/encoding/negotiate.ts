/**
 * Chooses the exposition format and the content coding from a scraper's `Accept` and `Accept-Encoding`.
 *
 * @module
 */

/** The content type of each format, exactly as Prometheus expects it. */
export const CONTENT_TYPES = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openMetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const

export type Format = keyof typeof CONTENT_TYPES

/** Returns the format with the highest quality; text 0.0.4 when none fits, so that curl shows text. */
export function negotiateFormat(accept: string | undefined): Format {
  if (accept === undefined) return 'text'
  let best: Format = 'text'
  let bestQuality = 0
  for (const { value, parameters, quality } of parseHeader(accept)) {
    const format = formatOf(value, parameters)
    // The first of equals wins: scrapers list the preferred format first.
    if (format !== undefined && quality > bestQuality) {
      best = format
      bestQuality = quality
    }
  }
  return best
}

/** Returns whether gzip is accepted. */
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

/**
 * Parses a list header (RFC 9110, 5.6.1 and 12.4.2) into values with parameters and quality. An absent quality is 1,
 * one that is not a number is 0.
 */
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
