/**
 * Computes the values of custom labels by the application's functions, whose mistakes must not reach the request.
 *
 * @module
 */
import { AsyncResource } from 'node:async_hooks'
import { types } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { OTHER_VALUE } from './metrics.ts'
import type { CustomLabel } from './options.ts'
import type { RawResponse } from './protocol.ts'

type Stage = 'hooks' | 'handler'

/** A request with the asynchronous context that `value` runs in. The event that ends a request may have another. */
export class LabelSource {
  readonly request: FastifyRequest
  #context: AsyncResource
  #isHandled = false

  constructor(request: FastifyRequest) {
    this.request = request
    this.#context = currentContext()
  }

  /**
   * Replaces the context by the current one, in which hooks may have begun an AsyncLocalStorage; not after that of the
   * handler, which may answer from another context.
   */
  capture(stage: Stage): void {
    if (this.#isHandled) return
    this.#isHandled = stage === 'handler'
    this.#context = currentContext()
  }

  /** Returns what a function returns in the request's context. */
  run<Result>(compute: () => Result): Result {
    return this.#context.runInAsyncScope(compute)
  }
}

function currentContext(): AsyncResource {
  // No hook waits for the end of this resource, so V8 need not report when it is collected.
  return new AsyncResource('data20.http.labels', { requireManualDestroy: true })
}

export interface LabelValuesOf {
  readonly names: readonly string[]
  /** Returns the values for a request, in the order of the names; `other` for each without a request. */
  of(source: LabelSource | undefined): string[]
  /** How many combinations of the known values there are: one, of no values, without custom labels. */
  readonly count: number
  /** Returns every combination of the known values. */
  combinations(): string[][]
}

/** `onError` receives what a function threw, and the mistake of returning a promise. */
export function createLabelValues(
  labels: Record<string, CustomLabel>,
  onError: (error: unknown) => void,
): LabelValuesOf {
  const names = Object.keys(labels)

  return {
    names,
    count: Object.values(labels).reduce((product, { values }) => product * values.length, 1),
    of: (source) =>
      source === undefined ? names.map(() => OTHER_VALUE) : source.run(() => names.map((name) => find(name, source))),
    combinations() {
      const begun: string[][] = [[]]
      return names.reduce(
        (before, name) => before.flatMap((values) => labels[name]!.values.map((value) => [...values, value])),
        begun,
      )
    },
  }

  function find(name: string, { request }: LabelSource): string {
    const { values, value } = labels[name]!
    try {
      const found: unknown = value(request)
      if (isThenable(found)) throw mistakenPromise(name, found)
      return typeof found === 'string' && values.includes(found) ? found : OTHER_VALUE
    } catch (error) {
      onError(error)
      return OTHER_VALUE
    }
  }
}

function isThenable(found: unknown): found is object {
  return typeof (found as { then?: unknown } | null | undefined)?.then === 'function'
}

/** Returns the error of a function that is asynchronous. Its promise may reject, which nobody else handles. */
function mistakenPromise(name: string, promise: object): Error {
  // The `then` of others may begin what they stand for, as that of a query builder.
  if (types.isPromise(promise)) promise.catch(() => {})
  return new TypeError(`Expected labels.${name}.value to return a string, got a promise`)
}

/**
 * Captures the context of each request ahead of its handler, and behind hooks that may answer before: an
 * AsyncLocalStorage may have begun in a hook.
 */
export function captureContexts(
  fastify: FastifyInstance,
  find: (response: RawResponse) => LabelSource | undefined,
): void {
  fastify.addHook('preParsing', (_request, reply, payload, done) => {
    find(reply.raw)?.capture('hooks')
    done(null, payload)
  })
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    find(reply.raw)?.capture('hooks')
    done(null, payload)
  })
  // A route's own hooks run after those of all plugins.
  fastify.addHook('onRoute', (route) => {
    const before = [route.preHandler ?? []].flat()
    // The route to HEAD that Fastify adds has the hooks of the route to GET.
    if (!before.includes(preHandler)) route.preHandler = [...before, preHandler]
  })

  function preHandler(_request: FastifyRequest, { raw }: FastifyReply, done: () => void): void {
    find(raw)?.capture('handler')
    done()
  }
}
