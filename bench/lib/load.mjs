// The load generator, in a process of its own: sends GETs over keep-alive connections and waits for the answers.
import { once } from 'node:events'
import { connect } from 'node:net'
import { PATHS } from './apps.mjs'

const CONNECTIONS = 10

export async function start() {
  /** By port. */
  const connections = new Map()

  /** Sends `count` requests to the server at `port`, at most one at a time on each connection. */
  return async function slice({ port, count }) {
    if (!connections.has(port))
      connections.set(port, await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port))))
    await Promise.all(connections.get(port).map((socket) => sendAll(socket, count / CONNECTIONS)))
  }
}

async function open(port) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

function sendAll(socket, count) {
  return new Promise((resolve, reject) => {
    let sent = 0
    socket.on('data', onAnswer)
    socket.once('close', reject)
    send()

    function send() {
      socket.write(
        `GET ${PATHS[sent % PATHS.length]} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: keep-alive\r\n\r\n`,
      )
      sent += 1
    }

    /** One read takes a whole answer: it is short. */
    function onAnswer(data) {
      if (!data.includes('"a name"}')) return
      if (sent < count) return send()
      socket.off('data', onAnswer)
      socket.off('close', reject)
      resolve()
    }
  })
}
