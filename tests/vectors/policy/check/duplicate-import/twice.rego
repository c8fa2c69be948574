package x

import data.atb.poa
import data.atb.poa

a := poa.decision
# expect: 4:1
