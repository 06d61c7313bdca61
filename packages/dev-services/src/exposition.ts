/**
 * Reads the text of an exposition.
 * @module
 */

/** One sample line of an exposition. */
export interface ExpositionSample {
  name: string
  labels: Record<string, string>
  /** May be `NaN` or infinite. */
  value: number
}

/**
 * Returns the samples of an exposition, in their order, without timestamps and exemplars. Label values must not contain
 * quotes.
 */
export function readSamples(exposition: string): ExpositionSample[] {
  return Array.from(
    exposition.matchAll(/^(\w+)(?:\{((?:\w+="[^"]*",?)*)\})? (\S+)/gm),
    ([, name = '', labels = '', value = '']) => ({
      name,
      labels: Object.fromEntries(Array.from(labels.matchAll(/(\w+)="([^"]*)"/g), ([, label, text]) => [label, text])),
      value: toNumber(value),
    }),
  )
}

/**
 * Returns the value of a series, written as in the exposition: `http_requests_total{status="200"}`; `undefined` if it
 * is absent.
 */
export function readValue(exposition: string, series: string): number | undefined {
  const line = exposition.split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? undefined : toNumber(line.slice(series.length + 1).split(' ')[0]!)
}

/** Parses a number as Prometheus writes it. The infinities are `+Inf` and `-Inf`. */
export function toNumber(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}
