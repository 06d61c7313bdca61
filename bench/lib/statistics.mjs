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
 * What several processes measured: of each the lower quartile of its slices, since what disturbs a slice only ever adds
 * to it, and of these the median, since a process keeps the luck that it had with the JIT.
 */
export function typical(processes) {
  return median(processes.map((slices) => quantile(slices, 0.25)))
}

/** {@link typical} of every variant. */
export function typicals(values) {
  return Object.fromEntries(Object.entries(values).map(([variant, processes]) => [variant, typical(processes)]))
}

/**
 * What each variant adds to the first: of each round, in which every variant has one process, the difference of the lower
 * quartiles, since a round has its own luck with the machine, and of these the median.
 */
export function addedTypicals(values) {
  const [base] = Object.values(values)
  const added = (processes) => processes.map((slices, round) => quantile(slices, 0.25) - quantile(base[round], 0.25))
  return Object.fromEntries(Object.entries(values).map(([variant, processes]) => [variant, median(added(processes))]))
}

/** A goal: a value that is at most so large a share of another. Compared as a product, since noise can put the other below zero. */
export function shareGoal(text, value, reference, atMost) {
  return { text: `${text}, share of it`, value: value / reference, met: value <= reference * atMost }
}
