//! The log as those outside have it: tiles and checkpoints at the doors, witnesses, files of checkpoints, proofs, cases.

mod case;
mod doors;
mod publish;
mod vectors;
mod verify;
