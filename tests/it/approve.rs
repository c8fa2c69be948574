//! Who agrees: what counts, what does not, under any interleaving, and how a challenge ends.

mod attest;
mod delegation;
mod directory;
mod ends;
mod left;
mod live;
mod parallel;
mod people;
mod queue;
mod size;
mod statements;
