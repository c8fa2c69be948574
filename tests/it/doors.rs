//! The doors against who writes bytes by hand: smuggled requests, frames with two readings, floods, slow clients.

mod frames;
mod rows;
mod shares;
mod smuggling;
mod vectors;
