package x

import data.atb.poa

a if input.time > 0
# expect: 3:1
