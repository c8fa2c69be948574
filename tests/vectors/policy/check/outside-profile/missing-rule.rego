package x

import data.atb.poa

a := poa.decisions
# expect: 5:6
