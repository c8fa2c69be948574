//! What agents ask of AgentAuth: what each tier takes, and what is refused before anybody is asked.

mod bad_input;
mod matrix;
mod named;
