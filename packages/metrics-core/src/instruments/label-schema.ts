/**
 * The labels of one instrument: checks a label set and encodes it.
 *
 * @module
 */
import { encode, type LabelKey } from '../encoding/label-bytes.ts'
import {
  checkLabelName,
  escapeLabelValue,
  type Labels,
  type LabelValue,
  labelValueText,
  truncate,
} from '../encoding/labels.ts'
import { type Bytes, toBytes } from '../encoding/writer.ts'
import { InvalidOptionError, LabelCountError, UnknownLabelError } from '../errors.ts'

/** The keys of prom-client's `{ labels, value, exemplarLabels }`. */
const OBSERVATION_KEYS = ['labels', 'value', 'exemplarLabels']

/** What the labels of all instruments of an application have in common. */
export interface LabelContext {
  /** Labels on every series. */
  constantLabels: Record<string, LabelValue>
  /** Longer values are cut. */
  maxLabelLength: number
  /** Called for each value that is cut. */
  onTruncated(metric: string): void
}

/** Label names and constant labels, with everything derived from them once. */
export class LabelSchema<Label extends string> {
  /** Names in the order in which `labels('a', 'b')` takes their values. */
  readonly names: readonly Label[]
  /** Labels on every series that are not among the names. */
  readonly constantLabels: Record<string, LabelValue>
  readonly #metric: string
  readonly #maxLength: number
  readonly #onTruncated: LabelContext['onTruncated']
  /** The names in alphabetical order, and the bytes that precede the value of each. */
  readonly #sortedNames: Label[] = []
  readonly #before: Bytes[] = []
  /** The bytes after the last value. */
  readonly #end: Bytes
  readonly #observationKeys: readonly string[]

  /** Throws for names that Prometheus refuses or keeps to itself, and for names that occur twice. */
  constructor(
    metric: string,
    names: readonly Label[],
    { constantLabels, maxLabelLength, onTruncated }: LabelContext,
    reservedLabel: string | undefined,
  ) {
    if (!Array.isArray(names)) throw new InvalidOptionError(`labelNames of ${metric}`, 'an array', names)
    for (const name of names) checkLabelName(name, reservedLabel)
    if (new Set(names).size < names.length) {
      throw new InvalidOptionError(`labelNames of ${metric}`, 'names that differ', names)
    }
    this.#metric = metric
    this.#maxLength = maxLabelLength
    this.#onTruncated = onTruncated
    this.names = [...names]
    this.#observationKeys = OBSERVATION_KEYS.filter((key) => !(names as readonly string[]).includes(key))
    // Without a prototype no label is in it by inheritance (`constructor`).
    this.constantLabels = Object.create(null)
    for (const [name, value] of Object.entries(constantLabels)) {
      checkLabelName(name, reservedLabel)
      if (!names.includes(name as Label)) this.constantLabels[name] = value
    }

    let before = ''
    for (const name of [...names, ...Object.keys(this.constantLabels)].sort()) {
      before += `${before || this.#before.length > 0 ? ',' : ''}${name}="`
      if (name in this.constantLabels) {
        before += `${escapeLabelValue(this.constantLabels[name])}"`
      } else {
        this.#sortedNames.push(name as Label)
        this.#before.push(toBytes(before))
        before = '"'
      }
    }
    this.#end = toBytes(before)
  }

  /** Returns the values of a label set as strings, sorted by name. Throws for an unknown label. */
  values(labels: Labels<Label>): string[] {
    for (const label in labels) {
      if (!this.names.includes(label)) throw new UnknownLabelError(this.#metric, this.#listNames(), label)
    }
    // All of them before any is encoded: `toString` of a value can be an application's own, and can observe.
    const values: string[] = []
    for (const name of this.#sortedNames) {
      const text = labelValueText(labels[name])
      values.push(text.length > this.#maxLength ? this.#cut(text) : text)
    }
    return values
  }

  #cut(text: string): string {
    this.#onTruncated(this.#metric)
    return truncate(text, this.#maxLength)
  }

  /** Encodes {@link values}. */
  encode(values: readonly string[]): LabelKey {
    return encode(this.#before, values, this.#end)
  }

  /** Returns the label set given as an object, or as one value for each name. */
  toObject(labels: [Labels<Label>] | LabelValue[]): Labels<Label> {
    const [first] = labels
    if (typeof first === 'object' && first !== null) return first
    if (labels.length !== this.names.length) throw new LabelCountError(this.#metric, this.#listNames(), labels.length)
    const object: { [name in Label]?: LabelValue } = {}
    for (const [index, value] of (labels as LabelValue[]).entries()) object[this.names[index]!] = value
    return object
  }

  /** Returns whether an argument is prom-client's `{ labels, value, exemplarLabels }` rather than a label set. */
  isObservation(
    argument: object,
  ): argument is { labels?: Labels<Label>; value?: number; exemplarLabels?: Record<string, string> } {
    for (const key of this.#observationKeys) if (key in argument) return true
    return false
  }

  #listNames(): string {
    return this.names.join(', ') || 'none'
  }
}
