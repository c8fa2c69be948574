# finding: `poa` is `data.atb.approval` in another file
package atb.issue

import data.atb.approval as poa

p := poa.assessment
