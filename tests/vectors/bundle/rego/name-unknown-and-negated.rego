# finding: 4: nothing is called `denied` here
package hostile

p if not denied
