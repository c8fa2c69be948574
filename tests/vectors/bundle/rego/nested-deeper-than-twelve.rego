# finding: 4: nested deeper than 12 levels
package hostile

p := [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]
