/**
 * Works out what a PromQL expression yields, from the leaves of its syntax tree to the root, and finds what is wrong on the way.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import type { Lookup, Problem } from './lint.ts'
import {
  hasLabel,
  isCertain,
  isVector,
  keep,
  type Matcher,
  matches,
  narrow,
  replaceLabel,
  type Shape,
  scalar,
  single,
  union,
  type Values,
  vector,
  withLabel,
} from './shape.ts'
import { childrenOf, findIn, firstOf, isRange, isRegex, toNumber, unquote } from './tree.ts'

/** Functions over a range that need a counter. */
const COUNTER_FUNCTIONS = ['rate', 'irate', 'increase', 'resets']
/** Functions over a range that ask whether or how often there is a sample, not how high it is. */
const SAMPLE_FUNCTIONS = ['count_over_time', 'present_over_time', 'changes', 'ts_of_last_over_time']
/** Aggregations that ask how many series there are. */
const SERIES_AGGREGATIONS = ['count', 'group', 'count_values']
/** Aggregations that keep the series as they are. */
const SELECTING_AGGREGATIONS = ['topk', 'bottomk', 'limitk', 'limit_ratio']
const COMPARISONS = ['Eql', 'Neq', 'Gtr', 'Lss', 'Gte', 'Lte']
const SET_OPERATORS = ['And', 'Or', 'Unless']
const SCALAR_FUNCTIONS = ['time', 'pi', 'scalar']

/** Whether a text is a whole expression. */
export function isComplete(expression: string): boolean {
  let isWhole = true
  parser.parse(expression).iterate({
    enter({ type }) {
      if (type.isError) isWhole = false
    },
  })
  return isWhole
}

/** Whether something in an expression is compared. */
export function isComparison(expression: string): boolean {
  const { topNode } = parser.parse(expression)
  return COMPARISONS.some((name) => findIn(topNode, name) !== undefined)
}

/** Why a counter is not used as it is. */
export function reasonOfBareCounter(name: string): string {
  return `the counter ${name} as it is says how long the process has run: use rate or increase`
}

/** What an expression yields; wrong parts of it yield what can be said of them. */
export function shapeOf(expression: string, lookup: Lookup): Shape {
  return evaluate(expression, lookup).shape
}

/** What an expression yields, and what is wrong in it; `root` is there when it could be read. */
export function evaluate(expression: string, lookup: Lookup): { shape: Shape; problems: Problem[]; root?: SyntaxNode } {
  const problems: Problem[] = []
  const tree = parser.parse(expression)
  tree.iterate({
    enter({ type, from, to }) {
      if (!type.isError || problems.length > 0) return
      const rest = expression.slice(from, Math.max(to, from + 20)).trim()
      problems.push({ rule: 'syntax', message: rest ? `cannot be read from \`${rest}\` on` : 'ends too soon', from })
    },
  })
  if (problems.length > 0) return { shape: { ...single(), isOpen: true }, problems }

  const root = childrenOf(tree.topNode)[0]
  if (root === undefined) return { shape: single(), problems: [{ rule: 'syntax', message: 'is empty', from: 0 }] }
  const shape = visit(root)
  return { shape, problems, root }

  function report(rule: Problem['rule'], node: SyntaxNode, message: string): void {
    problems.push({ rule, message, from: node.from })
  }

  function text({ from, to }: SyntaxNode): string {
    return expression.slice(from, to)
  }

  function visit(node: SyntaxNode): Shape {
    switch (node.name) {
      case 'VectorSelector':
        return visitSelector(node)
      case 'MatrixSelector':
      case 'SubqueryExpr':
      case 'ParenExpr':
      case 'StepInvariantExpr':
        return visitFirst(node)
      case 'OffsetExpr': {
        const [inner] = childrenOf(node)
        // The grammar reads `a - b offset 1d` as `(a - b) offset 1d`; it is of `b` alone.
        return inner!.name === 'BinaryExpr' ? visitBinary(inner!, true) : { ...visit(inner!), hasOffset: true }
      }
      case 'UnaryExpr': {
        const { constant, ...shape } = visit(childrenOf(node).at(-1)!)
        const sign = text(node).startsWith('-') ? -1 : 1
        return constant === undefined ? shape : { ...shape, constant: sign * constant }
      }
      case 'AggregateExpr':
        return visitAggregation(node)
      case 'FunctionCall':
        return visitFunction(node)
      case 'BinaryExpr':
        return visitBinary(node)
      case 'StringLiteral':
        return { ...single(), kind: 'string', text: unquote(text(node)) }
      case 'NumberDurationLiteral':
        return scalar(toNumber(text(node)))
      default:
        return scalar()
    }
  }

  function visitFirst(node: SyntaxNode): Shape {
    return visit(childrenOf(node)[0]!)
  }

  function visitSelector(node: SyntaxNode): Shape {
    const matchers = matchersOf(node)
    const identifier = node.getChild('Identifier')
    const byName = matchers.find(({ label, operator }) => label === '__name__' && operator === '=')
    const name = identifier ? text(identifier) : byName?.value
    // By a pattern of names, or by labels alone: any metric.
    if (name === undefined) return { ...single(), isOpen: true }
    let shape = lookup(name)
    if (shape === undefined) {
      report('metric', node, `there is no metric ${name}`)
      return { ...single(), isOpen: true }
    }
    for (const matcher of matchers) {
      const { label, operator } = matcher
      if (label === '__name__') continue
      if (!hasLabel(shape, label)) {
        report('label', node, `${name} has no label ${label}: it has ${listOf(shape.labels.keys())}`)
        continue
      }
      const values = shape.labels.get(label)
      if (!checkMatcher(node, name, matcher, values)) continue
      const isNarrower = operator === '=' || values !== undefined
      if (isNarrower) shape = withLabel(shape, label, narrow(values, matcher), isCertain(shape, label))
    }
    return { ...shape, metric: name }

    function matchersOf(selector: SyntaxNode): Matcher[] {
      const list = selector.getChild('LabelMatchers')
      return childrenOf(list).flatMap((matcher) => {
        const [label, operator, value] = [
          firstOf(matcher, 'LabelName', 'QuotedLabelName'),
          firstOf(matcher, 'MatchOp'),
          firstOf(matcher, 'StringLiteral'),
        ]
        if (!label || !operator || !value) return []
        return [{ label: unquote(text(label)), operator: text(operator), value: unquote(text(value)) }]
      })
    }
  }

  /** Reports a matcher that makes no sense; `false` for one that cannot be evaluated. */
  function checkMatcher(node: SyntaxNode, name: string, { label, operator, value }: Matcher, values: Values): boolean {
    const isPattern = operator.endsWith('~')
    if (isPattern && !isRegex(value)) {
      report('value', node, `${name}{${label}${operator}"${value}"}: not a regular expression`)
      return false
    }
    if (values === undefined) return true
    const known = [...values, '__overflow__']
    // Each word of `failed|timeout` has to be one that comes.
    const parts = isPattern && /^[\w|-]+$/.test(value) ? value.split('|') : [value]
    const positive = isPattern ? '=~' : '='
    for (const part of parts) {
      if (known.some((one) => matches(one, positive, part))) continue
      const verb = operator.startsWith('!') ? 'excludes nothing' : 'can never match'
      report('value', node, `${name}{${label}${operator}"${part}"} ${verb}: ${label} is ${listOf(values)}`)
    }
    return true
  }

  function visitAggregation(node: SyntaxNode): Shape {
    const operation = text(node.getChild('AggregateOp')!)
    const args = childrenOf(node.getChild('FunctionCallBody')).map(visit)
    const input = args.at(-1) ?? single()
    const modifier = node.getChild('AggregateModifier')
    const grouping = labelsOf(modifier?.getChild('GroupingLabels') ?? null)
    for (const label of grouping) {
      if (hasLabel(input, label)) continue
      report(
        'grouping',
        modifier!,
        `${text(modifier!)}: there is no label ${label}, but ${listOf(input.labels.keys())}`,
      )
    }
    const { metric, isShared, ...rest } = input
    if (SELECTING_AGGREGATIONS.includes(operation)) return rest

    const isBy = modifier?.getChild('By') != null
    const isKept = (label: string) => (modifier ? grouping.includes(label) === isBy : false)
    const kind = SERIES_AGGREGATIONS.includes(operation) ? 'gauge' : input.kind
    if (['sum', 'avg'].includes(operation) && isShared && !isKept('instance')) {
      report('aggregation', node, `${operation} of ${metric ?? 'a value'}, which is the same in every process: use max`)
    }
    const output = { ...keep(rest, isKept), kind, isOpen: isOpenAfter() }
    if (input.isOpen && isBy) return grouping.reduce((shape, label) => withLabel(shape, label, undefined), output)
    if (operation === 'count_values') return withLabel(output, args[0]?.text ?? '', undefined)
    return output

    function isOpenAfter(): boolean {
      return input.isOpen && modifier !== null && !isBy
    }
  }

  function visitFunction(node: SyntaxNode): Shape {
    const name = text(node.getChild('FunctionIdentifier')!)
    const nodes = childrenOf(node.getChild('FunctionCallBody'))
    const args = nodes.map(visit)
    const at = args.findIndex(isVector)
    const input = args[at]
    if (name === 'scalar' && input?.kind === 'counter') reportBare(nodes[at]!, input)
    if (SCALAR_FUNCTIONS.includes(name)) return scalar()
    if (name === 'vector' || input === undefined) return single()
    const { metric, constant, ...rest } = input

    if (COUNTER_FUNCTIONS.includes(name)) {
      checkRange(name, nodes[at]!, input)
      return { ...rest, kind: 'gauge' }
    }
    if (name === 'absent' || name === 'absent_over_time') return visitAbsent(nodes[at]!, input)
    if (SAMPLE_FUNCTIONS.includes(name) || name === 'timestamp') return { ...rest, kind: 'gauge' }
    if (name === 'last_over_time') return input
    if (childrenOf(nodes[at]!).length > 0 && isRange(nodes[at]!) && input.kind === 'counter') {
      report('counter', node, `${name} of the counter ${metric ?? text(nodes[at]!)}: use rate or increase`)
      return { ...rest, kind: 'gauge' }
    }
    if (name === 'histogram_quantile' || name === 'histogram_fraction') return visitQuantile(node, name, rest)
    if (name === 'label_replace') return visitLabelReplace(node, rest, args.slice(at + 1))
    if (name === 'label_join') return withLabel(rest, args[at + 1]?.text ?? '', undefined)
    return rest
  }

  /** Absence has the labels that the matchers of its selector set to one value. */
  function visitAbsent(selector: SyntaxNode, { labels }: Shape): Shape {
    const isSet = (label: string) => new RegExp(`\\b${label}\\s*=\\s*["'\`]`).test(text(selector))
    return vector(
      'gauge',
      [...labels].filter(([label, values]) => values?.size === 1 && isSet(label)),
    )
  }

  function visitQuantile(node: SyntaxNode, name: string, input: Shape): Shape {
    if (!hasLabel(input, 'le')) report('quantile', node, `${name} without the label le: keep it in the aggregation`)
    if (input.kind === 'counter') report('counter', node, `${name} of buckets since the process began: use rate`)
    const { buckets, ...shape } = keep(input, (label) => label !== 'le')
    const isQuantile = name === 'histogram_quantile' && buckets !== undefined
    return { ...shape, kind: 'gauge', ...(isQuantile ? { quantileOf: buckets } : {}) }
  }

  function visitLabelReplace(node: SyntaxNode, input: Shape, args: Shape[]): Shape {
    const [target = '', replacement = '', source = '', pattern = ''] = args.map((argument) => argument.text ?? '')
    // Without a source the label is set.
    if (source !== '' && !hasLabel(input, source)) {
      report('label', node, `label_replace reads the label ${source}, which is not there`)
    }
    return isRegex(pattern) ? replaceLabel(input, [target, replacement, source, pattern]) : input
  }

  function checkRange(name: string, node: SyntaxNode, input: Shape): void {
    const what = input.metric ?? text(node)
    const subquery = findIn(node, 'SubqueryExpr')
    if (input.kind !== 'counter' && !input.isOpen) report('rate', node, `${name} of ${what}, which is a gauge`)
    else if (subquery && findIn(subquery, 'AggregateExpr')) {
      report('rate', node, `${name} after an aggregation sees no restart of a process: aggregate the ${name}`)
    }
  }

  function visitBinary(node: SyntaxNode, isRightOffset = false): Shape {
    const parts = childrenOf(node)
    const [leftNode, rightNode] = [parts[0]!, parts.at(-1)!]
    const left = visit(leftNode)
    const right = { ...visit(rightNode), ...(isRightOffset ? { hasOffset: true } : {}) }
    const operator = parts[1]!.name
    const isSet = SET_OPERATORS.includes(operator)
    const isCompared = COMPARISONS.includes(operator)
    const isBool = node.getChild('BoolModifier') !== null

    if (isCompared) {
      checkThreshold(node, left, right)
      checkThreshold(node, right, left)
    }
    if (!isSet) checkOperands(operator, leftNode, left, rightNode, right)
    if (!isVector(left) && !isVector(right)) {
      const value = calculate(operator, left.constant, right.constant)
      return scalar(value)
    }
    if (!isVector(left) || !isVector(right)) {
      const { metric, quantileOf, buckets, ...shape } = isVector(left) ? left : right
      const isFilter = isCompared && !isBool
      return { ...shape, kind: 'gauge', ...(isFilter && quantileOf ? { quantileOf } : {}) }
    }

    const clause = node.getChild('MatchingModifierClause')
    const matched = matchedLabels(clause)
    if (operator !== 'Or') checkMatching(node, clause, matched, left, right)
    if (operator === 'Or') return withoutMetric(union(left, right))
    if (isSet) return withoutMetric(left)
    const { quantileOf, buckets, ...one } = withoutMetric(clause?.getChild('GroupRight') ? right : left)
    const result = { ...one, kind: 'gauge' as const, ...(isCompared && !isBool && quantileOf ? { quantileOf } : {}) }
    if (matched.group) {
      const other = clause?.getChild('GroupRight') ? left : right
      return matched.included.reduce(
        (shape, label) => withLabel(shape, label, other.labels.get(label), isCertain(other, label)),
        result as Shape,
      )
    }
    return clause ? keep({ ...result, isOpen: result.isOpen && !matched.isOn }, matched.isMatched) : result
  }

  /** The labels by which the sides of an operator are matched. */
  function matchedLabels(clause: SyntaxNode | null): {
    isOn: boolean
    listed: string[]
    group: boolean
    included: string[]
    isMatched(label: string): boolean
  } {
    const [list, include] = clause?.getChildren('GroupingLabels') ?? []
    const hasList = clause?.getChild('On') != null || clause?.getChild('Ignoring') != null
    const listed = hasList ? labelsOf(list ?? null) : []
    const isOn = clause?.getChild('On') != null
    return {
      isOn,
      listed,
      group: clause?.getChild('GroupLeft') != null || clause?.getChild('GroupRight') != null,
      included: labelsOf((hasList ? include : list) ?? null),
      isMatched: (label) => listed.includes(label) === isOn,
    }
  }

  function checkMatching(
    node: SyntaxNode,
    clause: SyntaxNode | null,
    { isOn, listed, included, isMatched }: ReturnType<typeof matchedLabels>,
    left: Shape,
    right: Shape,
  ): void {
    for (const label of listed) {
      const sides = [left, right].filter((side) => hasLabel(side, label)).length
      // `ignoring` is for labels that one side has.
      if (sides < (isOn ? 2 : 1))
        report('grouping', clause!, `${text(clause!)}: ${label} is not on ${sides === 0 ? 'either' : 'each'} side`)
    }
    const one = clause?.getChild('GroupRight') ? left : right
    for (const label of included) {
      if (!hasLabel(one, label)) report('grouping', clause!, `${text(clause!)}: the other side has no label ${label}`)
    }
    if (isOn) return
    const lonely = [
      ...[...left.certain].filter((label) => !hasLabel(right, label)),
      ...[...right.certain].filter((label) => !hasLabel(left, label)),
    ].filter(isMatched)
    if (lonely.length > 0) report('matching', node, `nothing matches: only one side has ${listOf(lonely)}`)
  }

  function checkThreshold(node: SyntaxNode, { quantileOf }: Shape, { constant }: Shape): void {
    if (quantileOf === undefined || constant === undefined || constant === 0) return
    const largest = quantileOf.at(-1)!
    if (constant >= largest) {
      report('threshold', node, `a quantile is never above the largest bound, ${largest}: ${constant} is out of reach`)
    } else if (!quantileOf.includes(constant)) {
      report(
        'threshold',
        node,
        `${constant} is no bound of a bucket, so it is guessed: they are ${quantileOf.join(' ')}`,
      )
    }
  }

  function checkOperands(
    operator: string,
    leftNode: SyntaxNode,
    left: Shape,
    rightNode: SyntaxNode,
    right: Shape,
  ): void {
    // How far it came since: no restart is seen, but it is what was asked for.
    const isComparedOverTime = left.kind === 'counter' && right.kind === 'counter' && left.hasOffset !== right.hasOffset
    // `… or requests * 0`: only its labels are used.
    const isZeroed = operator === 'Mul' && (left.constant === 0 || right.constant === 0)
    if (isComparedOverTime || isZeroed) return
    for (const [node, shape] of [
      [leftNode, left],
      [rightNode, right],
    ] as const) {
      if (shape.kind === 'counter') reportBare(node, shape)
    }
  }

  function reportBare(node: SyntaxNode, { metric }: Shape): void {
    report('counter', node, reasonOfBareCounter(metric ?? text(node)))
  }

  function labelsOf(list: SyntaxNode | null): string[] {
    return childrenOf(list).map((label) => unquote(text(label)))
  }
}

/** What is computed has no name. */
function withoutMetric({ metric, ...shape }: Shape): Shape {
  return shape
}

/** The number that two constants make; `undefined` where one is none. */
function calculate(operator: string, left?: number, right?: number): number | undefined {
  if (left === undefined || right === undefined) return undefined
  // Rounded, so that 0.1 * 3 is the bound 0.3.
  const round = (value: number) => Number(value.toPrecision(12))
  if (operator === 'Add') return round(left + right)
  if (operator === 'Sub') return round(left - right)
  if (operator === 'Mul') return round(left * right)
  if (operator === 'Div') return round(left / right)
  return undefined
}

function listOf(names: Iterable<string>): string {
  const list = [...names].sort()
  if (list.length > 12) return `${list.slice(0, 12).join(', ')}, …`
  return list.join(', ') || 'nothing'
}
