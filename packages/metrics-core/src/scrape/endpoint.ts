/**
 * `GET /metrics`: credentials, the limit of concurrent scrapes, format and content coding.
 *
 * @module
 */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { DoneFuncWithErrOrRes, FastifyBaseLogger, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Metrics } from '../create-metrics.ts'
import { acceptsGzip } from '../encoding/negotiate.ts'
import { definitions, SCRAPE_STATUSES } from '../metrics.ts'
import type { ResolvedOptions } from '../options.ts'
import { createAuthorizer } from './auth.ts'
import { createPendingBodies } from './pending.ts'

const compress = promisify(gzip)

/** Smallest body that is worth compressing, in bytes. */
const GZIP_FROM_BYTES = 1024
/**
 * The part of the scraper's timeout that it waits for collectors; the rest is for rendering and sending.
 */
const TIMEOUT_PART = 0.9
/** What a scraper announces beyond an hour is no limit, and more than a timer can wait. */
const MAX_BUDGET_MS = 3_600_000

type EndpointOptions = Pick<ResolvedOptions, 'auth' | 'preHandler' | 'maxConcurrentScrapes' | 'maxPendingBytes'> & {
  path: string
}

/** Returns the route, for the application or for a server of its own. */
export function createEndpoint(
  metrics: Metrics,
  { path, auth, preHandler, maxConcurrentScrapes, maxPendingBytes }: EndpointOptions,
  log: FastifyBaseLogger,
): RouteOptions {
  const authorizer = auth === undefined ? undefined : createAuthorizer(auth)
  const duration = metrics.histogram(definitions.scrapeDuration)
  const scrapes = metrics.counter(definitions.scrapes)
  for (const status of SCRAPE_STATUSES) scrapes.reserve({ status })
  let scraping = 0
  let hasReported = false
  const holdBody = createPendingBodies(maxPendingBytes, () => {
    if (hasReported) return
    hasReported = true
    log.warn({ maxPendingBytes }, 'scrapers do not read their responses; those that have waited longest are cut')
  })

  return {
    method: 'GET',
    url: path,
    // HEAD would cost as much as GET. The HTTP metrics and the log leave this route out.
    exposeHeadRoute: false,
    logLevel: 'warn',
    config: { metrics: false },
    schema: { hide: true } as object,
    onRequest: authorize,
    ...(preHandler === undefined ? {} : { preHandler }),
    handler: scrape,
    onSend: countStatus,
  }

  async function authorize(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (authorizer === undefined || authorizer.isAuthorized(request.headers.authorization)) return
    reply.code(401).header('www-authenticate', authorizer.challenge)
    await reply.send({ statusCode: 401, error: 'Unauthorized', message: 'Expected valid credentials of a scraper' })
  }

  async function scrape(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    if (scraping >= maxConcurrentScrapes) {
      return reply
        .code(503)
        .header('retry-after', '1')
        .send({
          statusCode: 503,
          error: 'Service Unavailable',
          message: `${scraping} scrapes are in progress already`,
        })
    }
    const endTimer = duration.startTimer()
    scraping += 1
    try {
      const { accept, 'accept-encoding': acceptEncoding } = request.headers
      const { contentType, body } = await metrics.expose({
        accept,
        names: namesOf(request),
        budgetMs: budgetOf(request),
      })
      const isCompressed = body.length > GZIP_FROM_BYTES && acceptsGzip(acceptEncoding as string | undefined)
      const payload = isCompressed ? await compress(body) : body
      reply.header('content-type', contentType).header('vary', 'accept, accept-encoding')
      if (isCompressed) reply.header('content-encoding', 'gzip')
      holdBody(reply.raw, payload.length)
      return payload
    } finally {
      scraping -= 1
      endTimer()
    }
  }

  /** Runs once for each response, also for one that a preHandler sent or whose scraper has gone. */
  function countStatus(
    _request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
    done: DoneFuncWithErrOrRes,
  ): void {
    scrapes.reserve({ status: reply.statusCode }).inc()
    done(null, payload)
  }

  /** Reads `?name[]=a&name[]=b`, as promhttp does, independently of the application's query parser. */
  function namesOf({ url }: FastifyRequest): string[] | undefined {
    const names = new URLSearchParams(url.split('?')[1]).getAll('name[]').filter((name) => name !== '')
    return names.length > 0 ? names : undefined
  }

  function budgetOf({ headers }: FastifyRequest): number | undefined {
    const budgetMs = Number(headers['x-prometheus-scrape-timeout-seconds']) * 1000 * TIMEOUT_PART
    return budgetMs > 0 && budgetMs <= MAX_BUDGET_MS ? budgetMs : undefined
  }
}
