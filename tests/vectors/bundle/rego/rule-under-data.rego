# finding: 4: package `catalogue.extra` and the data document `data.catalogue` overlap
package catalogue.extra

p := 1
