/**
 * How a binary operator matches the series of its sides: `on`, `ignoring`, `group_left` and `group_right`.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { hasLabel, type Shape } from '../shape.ts'
import { type Context, labelsOf, listOf } from './context.ts'

/** The matching of a binary operator. */
export interface Matching {
  /** The modifiers, where there are any. */
  clause: SyntaxNode | null
  /** `on` rather than `ignoring`. */
  isOn: boolean
  /** The labels of `on` or `ignoring`. */
  listed: readonly string[]
  /** `group_left` or `group_right`: several series of one side match one of the other. */
  isGroup: boolean
  /** The side with many series is the right one. */
  isGroupRight: boolean
  /** The labels of `group_left` or `group_right`. */
  included: readonly string[]
  /** Returns whether both sides must have the same value of a label. */
  isMatched(label: string): boolean
}

/** Returns the matching that the modifiers of an operator ask for. */
export function matchingOf(context: Context, node: SyntaxNode): Matching {
  const clause = node.getChild('MatchingModifierClause')
  const has = (name: string) => clause?.getChild(name) != null
  const [list, include] = clause?.getChildren('GroupingLabels') ?? []
  const isOn = has('On')
  const hasList = isOn || has('Ignoring')
  const listed = hasList ? labelsOf(context, list) : []
  return {
    clause,
    isOn,
    listed,
    isGroup: has('GroupLeft') || has('GroupRight'),
    isGroupRight: has('GroupRight'),
    included: labelsOf(context, hasList ? include : list),
    isMatched: (label) => listed.includes(label) === isOn,
  }
}

/** Reports labels that are missing where they are matched or copied, and sides that can never match. */
export function checkMatching(
  { report, text }: Context,
  node: SyntaxNode,
  { clause, isOn, listed, isGroupRight, included, isMatched }: Matching,
  [left, right]: readonly [Shape, Shape],
): void {
  for (const label of listed) {
    const sides = [left, right].filter((side) => hasLabel(side, label)).length
    // `ignoring` needs a label on one side only.
    if (sides >= (isOn ? 2 : 1)) continue
    report('grouping', clause!, `${text(clause!)}: ${sides === 0 ? 'neither' : 'only one'} side has the label ${label}`)
  }
  const one = isGroupRight ? left : right
  for (const label of included) {
    if (!hasLabel(one, label)) report('grouping', clause!, `${text(clause!)}: the other side has no label ${label}`)
  }
  if (isOn) return
  const lonely = [
    ...[...left.certain].filter((label) => !hasLabel(right, label)),
    ...[...right.certain].filter((label) => !hasLabel(left, label)),
  ].filter(isMatched)
  if (lonely.length > 0) report('matching', node, `no series match: only one side has ${listOf(lonely)}`)
}
