import t from 'tap'
import { testMessages, testRight, testWrong } from '../helpers.ts'

testWrong(t, [
  ['grouping', 'system_cpu_percent * on (pod) group_left app_info'],
  ['grouping', 'system_cpu_percent * on (instance) group_left (release) app_info'],
  ['matching', 'sum by (job) (db_up) / db_connections_max'],
  ['matching', 'db_up unless queue_up'],
])

testRight(t, [
  ['system_cpu_percent * on (instance) group_left (version) app_info'],
  ['app_info * on (instance) group_right (version) system_cpu_percent'],
  ['db_up == 0 and on (instance) system_cpu_percent > 90'],
  ['db_up / ignoring (pool) system_cpu_percent'],
])

testMessages(t, {
  'db_up and on (pool) up': 'on (pool): only one side has the label pool',
  'up and ignoring (queue) up': 'ignoring (queue): neither side has the label queue',
  'db_up * on (instance) group_left (release) app_info':
    'on (instance) group_left (release): the other side has no label release',
  'db_up unless queue_up': 'no series match: only one side has pool, queue',
})
