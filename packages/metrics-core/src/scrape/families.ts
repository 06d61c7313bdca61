/**
 * Reads a registry: our instruments as they are, the metrics of the clients' own classes as plain data.
 *
 * @module
 */
import { isLabelName, isMetricName, type LabelValue } from '../encoding/labels.ts'
import type { ClientMetric, Family } from '../instruments/family.ts'
import { type AnyInstrument, isInstrument } from '../instruments/instrument.ts'
import type { RegistryLike } from '../options.ts'

/** Splits the metrics of a registry by who made them. */
export function metricsOf(registry: RegistryLike): { instruments: AnyInstrument[]; clientMetrics: ClientMetric[] } {
  const instruments: AnyInstrument[] = []
  const clientMetrics: ClientMetric[] = []
  for (const metric of registry.getMetricsAsArray() as Array<AnyInstrument | ClientMetric>) {
    if (isInstrument(metric)) instruments.push(metric)
    else clientMetrics.push(metric)
  }
  return { instruments, clientMetrics }
}

/**
 * Returns everything a registry exposes, in its order. `labels` are the labels of every series now; `lastRead` returns
 * a client's metric as it was last read, or `undefined` when it could not be read yet.
 */
export function familiesOf(
  registry: RegistryLike,
  labels: Record<string, LabelValue>,
  lastRead: (metric: ClientMetric) => Family | undefined,
): Array<AnyInstrument | Family> {
  const families: Array<AnyInstrument | Family> = []
  const names = new Set<string>()
  for (const metric of registry.getMetricsAsArray() as Array<AnyInstrument | ClientMetric>) {
    if (isInstrument(metric)) {
      families.push(hasConstantLabels(metric, labels) ? metric : withoutConstantLabels(metric))
      continue
    }
    const family = lastRead(metric)
    if (family === undefined) continue
    const name = registeredName(registry, metric, family)
    // A metric without a name of its own can take one that is taken.
    if (names.has(name) || (metric.name !== name && isInstrument(registry.getSingleMetric(name)))) continue
    names.add(name)
    families.push({ ...family, name })
  }
  return families
}

/**
 * Returns the labels of every series: those set on the registry itself, then `labels`. Both clients keep the former
 * under this name, and check none of them.
 */
export function constantLabelsOf(
  registry: RegistryLike,
  labels: Record<string, LabelValue>,
): Record<string, LabelValue> {
  const { _defaultLabels = {} } = registry as { _defaultLabels?: Record<string, LabelValue> }
  // Prometheus would drop the whole exposition for one name that it refuses.
  return { ...Object.fromEntries(Object.entries(_defaultLabels).filter(([name]) => isLabelName(name))), ...labels }
}

/**
 * Returns whether an instrument's encoded series carry exactly these labels: the registry's labels can change after it
 * was made.
 */
function hasConstantLabels({ constantLabels, labelNames }: AnyInstrument, labels: Record<string, LabelValue>): boolean {
  let missing = Object.keys(constantLabels).length
  for (const label in labels) {
    if (labelNames.includes(label)) continue
    if (constantLabels[label] !== labels[label]) return false
    missing -= 1
  }
  return missing === 0
}

/**
 * Returns an instrument as plain data without the constant labels it was made with; the renderer adds the current ones.
 */
function withoutConstantLabels(instrument: AnyInstrument): Family {
  const family = instrument.describe()
  for (const { labels } of family.values) {
    for (const label of Object.keys(instrument.constantLabels)) delete labels[label]
  }
  return family
}

/**
 * Returns the name under which a client's metric was registered: the clients' OpenMetrics rendering cuts `_total` off a
 * counter's own name for good.
 */
function registeredName(registry: RegistryLike, metric: ClientMetric, family: Family): string {
  if (!isMetricName(metric.name)) return family.name
  const whole = `${metric.name}_total`
  return registry.getSingleMetric(whole) === metric ? whole : metric.name
}
