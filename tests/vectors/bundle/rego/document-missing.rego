# finding: 4: there is no document `data.catalgoue`
package hostile

p if not data.catalgoue[input.poa.act]
