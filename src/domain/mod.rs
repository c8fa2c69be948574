//! Layer 1: what the words of the contract mean, as types that cannot hold a bad value.
//!
//! Nothing here reads a clock, a file, a socket or the environment; `now` is always an argument.

pub mod day;
pub mod id;
pub mod jose;
pub mod json;
pub mod jwt;
pub mod text;
pub mod time;
pub mod yaml;

pub mod platform;
pub mod spiffe;

pub mod action;
pub mod attestation;
pub mod catalogue;
pub mod guardrail;
pub mod role;
pub mod sentence;

pub mod leg;

pub mod approval;

pub mod mandate;

pub mod policy;

pub mod ledger;

pub mod governance;
