# finding: 6: `with` outside of a test
package hostile

import data.atb.poa

p if poa.decision.allow with input as {"forged": true}
