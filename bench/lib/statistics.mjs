/** Returns the value below which the given share of the values lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)]
  return below + (sorted[Math.ceil(position)] - below) * (position % 1)
}

export function median(values) {
  return quantile(values, 0.5)
}

/**
 * The quantile of a process's slices that counts. Disturbances only add time, and on shared hardware many slices are
 * disturbed.
 */
const UNDISTURBED = 0.1

/**
 * Returns the figure of a variant: the lower decile of each process's slices, then the median over its processes,
 * because JIT decisions last as long as a process does.
 */
export function typical(processes) {
  return median(processes.map((slices) => quantile(slices, UNDISTURBED)))
}

/** Returns {@link typical} of each variant. */
export function typicals(values) {
  return Object.fromEntries(Object.entries(values).map(([variant, processes]) => [variant, typical(processes)]))
}

/**
 * Returns what each variant adds to the first. In each round every variant has one process; the difference of the lower
 * deciles is taken within the round, then the median over the rounds. `from` and `to` are the 95 % confidence interval
 * of that median by the sign test, which assumes no distribution: the differences 0.98 √rounds ranks below and above it
 * (the binomial distribution approximated by the normal one). They are infinite for fewer than six rounds.
 */
export function addedTypicals(values) {
  const [base] = Object.values(values)
  return Object.fromEntries(
    Object.entries(values).map(([variant, processes]) => {
      const added = processes.map((slices, round) => quantile(slices, UNDISTURBED) - quantile(base[round], UNDISTURBED))
      const value = median(added)
      if (added.length < 6) return [variant, { value, from: -Infinity, to: Infinity }]
      const margin = 0.98 / Math.sqrt(added.length)
      return [variant, { value, from: quantile(added, 0.5 - margin), to: quantile(added, 0.5 + margin) }]
    }),
  )
}

/**
 * Returns a goal: `value` is at most the share `atMost` of `reference`. Compared as a product, since noise can put
 * `reference` below zero.
 */
export function shareGoal(text, value, reference, atMost) {
  return { text: `${text}, share of it`, value: value / reference, met: value <= reference * atMost }
}
