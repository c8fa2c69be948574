# finding: 4: an import of the whole of `data`
package hostile

import data

p := data.catalogue
