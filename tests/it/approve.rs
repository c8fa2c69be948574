//! Who agrees: what counts, what does not, under any interleaving, and how a challenge ends.

mod delegation;
mod ends;
mod parallel;
mod people;
mod size;
mod statements;
