/** The value below which so large a share of the values lies. */
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
 * Of a process's slices, the lower decile: what disturbs a slice only ever adds to it, and many slices are disturbed where
 * neighbours share the machine.
 */
const UNDISTURBED = 0.1

/**
 * What several processes measured: of each its undisturbed slices, and of these the median, since a process keeps the
 * luck that it had with the JIT.
 */
export function typical(processes) {
  return median(processes.map((slices) => quantile(slices, UNDISTURBED)))
}

/** {@link typical} of every variant. */
export function typicals(values) {
  return Object.fromEntries(Object.entries(values).map(([variant, processes]) => [variant, typical(processes)]))
}

/**
 * What each variant adds to the first: of each round, in which every variant has one process, the difference of the lower
 * deciles, since a round has its own luck with the machine, and of these the median. `from` and `to` hold the true
 * median with 95 %, whatever the distribution: the differences that lie 0.98 √rounds ranks below and above it (the
 * sign test's interval, with the binomial distribution taken as normal); infinite for fewer than six rounds.
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

/** A goal: a value that is at most so large a share of another. Compared as a product, since noise can put the other below zero. */
export function shareGoal(text, value, reference, atMost) {
  return { text: `${text}, share of it`, value: value / reference, met: value <= reference * atMost }
}
