# finding: 6: there is no function `data.atb.poa.checked`
package hostile

import data.atb.poa

p if poa.checked(input)
