// Requests without a network: Node's own IncomingMessage and ServerResponse on a connection that discards what is
// written.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'

const HEADERS = [
  'Host',
  'localhost:3000',
  'User-Agent',
  'bench',
  'Accept',
  'application/json',
  'Connection',
  'keep-alive',
]

/** Returns a keep-alive connection. */
export function createConnection() {
  const connection = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      done()
    },
    writev(_chunks, done) {
      done()
    },
  })
  connection.remoteAddress = '127.0.0.1'
  return connection
}

/**
 * Passes one GET to `accept(request, response)`, as Node's server does to `app.routing`. Calls `done` once the response
 * is closed.
 */
export function exchange(accept, connection, path, done) {
  const request = new IncomingMessage(connection)
  request.httpVersionMajor = 1
  request.httpVersionMinor = 1
  request.httpVersion = '1.1'
  request.rawHeaders = HEADERS
  request.method = 'GET'
  request.url = path
  const response = new ServerResponse(request)
  response.shouldKeepAlive = true
  response.assignSocket(connection)
  response.on('finish', detach.bind(undefined, request, response, connection, done))
  accept(request, response)
  request.complete = true
  request.push(null)
}

/** Does what _http_server.js does when a response has ended. */
function detach(request, response, connection, done) {
  if (!request._consumed) request._dump()
  response.detachSocket(connection)
  process.nextTick(close, response, done)
}

function close(response, done) {
  response.destroyed = true
  response._closed = true
  response.emit('close')
  done()
}
