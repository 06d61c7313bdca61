import t from 'tap'
import { assertEachAlone } from './helpers.ts'
import { upgradeExchanges } from './traffic/upgrade.ts'

t.test('each kind of upgrade is counted as the client saw it', (t) => assertEachAlone(t, upgradeExchanges))
