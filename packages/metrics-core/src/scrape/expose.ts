/**
 * One exposition: collects, renders, and lets concurrent scrapes share both.
 *
 * @module
 */
import type { LabelValue } from '../encoding/labels.ts'
import { CONTENT_TYPES, type Format, negotiateFormat } from '../encoding/negotiate.ts'
import type { Family } from '../instruments/family.ts'
import type { GaugeSeries } from '../instruments/gauge.ts'
import { type AnyInstrument, familyName } from '../instruments/instrument.ts'
import type { Collection } from './collection.ts'
import { createRenderer } from './renderer.ts'

/** Options of `fastify.metrics.expose()`. */
export interface ExposeOptions {
  /** The scraper's `Accept` header. @default text 0.0.4 */
  accept?: string | undefined
  /** Restricts the exposition to metrics of these names. @default all */
  names?: readonly string[] | undefined
  /**
   * Milliseconds to wait for collectors. Those that take longer go on, and show their last values.
   * @default until each has ended or missed its deadline
   */
  budgetMs?: number | undefined
}

/** One exposition. */
export interface Exposition {
  contentType: string
  body: Buffer
}

/** What an exposition is made of. */
export interface ExposeSources {
  collection: Collection
  /** The labels of every series, at this moment. */
  constantLabels(): Record<string, LabelValue>
  /** All families to expose, at this moment. */
  families(): Array<AnyInstrument | Family>
  /** Holds the number of series of the last exposition of all metrics. */
  seriesCount: Pick<GaugeSeries, 'set'>
}

/** Creates `expose`: concurrent calls share the collection, and the rendering of the same format and names. */
export function createExpose({
  collection,
  constantLabels,
  families,
  seriesCount,
}: ExposeSources): (options?: ExposeOptions) => Promise<Exposition> {
  const renderings = new Map<string, Promise<Exposition>>()
  const render = createRenderer()

  return async function expose({ accept, names, budgetMs } = {}) {
    const format = negotiateFormat(accept)
    const collecting = collection.collect(budgetMs)
    if (collecting !== undefined) await collecting
    const key = names === undefined ? format : JSON.stringify([format, ...names])
    const shared = renderings.get(key)
    if (shared !== undefined) return shared
    const rendering = renderNow(format, names)
    renderings.set(key, rendering)
    try {
      return await rendering
    } finally {
      renderings.delete(key)
    }
  }

  async function renderNow(format: Format, names: readonly string[] | undefined): Promise<Exposition> {
    const all = families()
    const wanted = names && all.filter((family) => names.includes(familyName(family)))
    const { body, series } = await render(wanted ?? all, format, constantLabels())
    if (wanted === undefined) seriesCount.set(series)
    return { contentType: CONTENT_TYPES[format], body }
  }
}
