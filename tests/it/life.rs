//! A challenge's life: withdrawn, asked again, overdue by the thousand, in crowds and through crashes; and what an agent
//! is told on the way.

mod cli;
mod crash;
mod crowd;
mod reask;
mod record;
mod sweep;
mod told;
mod withdraw;
