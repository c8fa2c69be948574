# finding: 6: there is no rule `data.atb.poa.decisoin`
package hostile

import data.atb.poa

p if not poa.decisoin
