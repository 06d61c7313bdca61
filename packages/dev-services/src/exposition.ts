/** One line of `/metrics` that is no comment. */
export interface ExpositionSample {
  name: string
  labels: Record<string, string>
  /** `NaN` and the infinities included. */
  value: number
}

/** The samples of a `/metrics` whose label values hold no quotes, in their order. Timestamps and exemplars are left out. */
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

/** The value of a series, which is written as in the exposition: `http_requests_total{status="200"}`; `undefined` where it is not there. */
export function readValue(exposition: string, series: string): number | undefined {
  const line = exposition.split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? undefined : toNumber(line.slice(series.length + 1).split(' ')[0]!)
}

/** Prometheus writes the infinities as `+Inf` and `-Inf`. */
export function toNumber(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}
