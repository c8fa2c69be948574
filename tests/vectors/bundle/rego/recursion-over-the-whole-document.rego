# finding: recursion: hostile.p -> hostile.p
package hostile

p := count(data.hostile)
