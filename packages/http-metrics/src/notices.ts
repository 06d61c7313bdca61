/**
 * Says in the log what the plugin leaves out, once for each kind.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import { rootOf } from './internals.ts'

export interface Notices {
  /** A request went to a route outside of the part of the application in which the plugin is registered. */
  outside(route: string): void
  /** All routes together would have too many series before their first request. */
  tooMany(series: number): void
}

/** Returns the notices of one registration. */
export function createNotices(fastify: FastifyInstance): Notices {
  const given = new Set<string>()

  return {
    outside(route) {
      // Another registration counts the whole application.
      if (rootOf(fastify).hasDecorator('httpMetrics')) return
      warnOnce(
        { route },
        'http-metrics is registered in an encapsulated part of the application and does not count the routes outside of it; wrap the plugin that registers it with fastify-plugin to count them',
      )
    },
    tooMany(series) {
      warnOnce(
        { series },
        'http-metrics makes the initial series of a route at its first request, and none with custom labels, since those of all routes are too many; the option `initialize` says which there are',
      )
    },
  }

  function warnOnce(details: object, message: string): void {
    if (given.has(message)) return
    given.add(message)
    fastify.log.warn(details, message)
  }
}
