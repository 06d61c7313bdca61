/** Every kind of request for another protocol. */
import { type Exchange, get, HOST, leaves } from './client.ts'

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: test\r\n'

/** All of them, by name. */
export const upgradeExchanges: Record<string, Exchange> = {
  async upgraded(client, ledger) {
    await get(client, '/socket', HOST + UPGRADE, 101, 'at first bytes')
    ledger.request('/socket', 'GET', 101)
  },
  async upgradeRefused(client, ledger) {
    await get(client, '/refused', HOST + UPGRADE, 403)
    ledger.request('/refused', 'GET', 403)
  },
  leavesUpgrade: leaves('/slow', `GET /slow HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`, 'once arrived', 499, 'before_headers'),
  async upgradeDenied(client, ledger) {
    await get(client, '/denied/1', HOST + UPGRADE, 401, 'at first bytes')
    ledger.request('/denied/:id', 'GET', 401)
  },
}
