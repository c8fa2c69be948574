//! The JSON Schema that a route's body must fit before anybody is asked about the call (draft 2020-12, offline).

use jsonschema::Validator;
use serde_json::Value;

use crate::domain::catalogue::{ParamError, compile, schema_errors};

/// A schema that compiled.
pub struct BodySchema(Box<Validator>);

impl BodySchema {
    /// Compiles `schema`, which points to nothing outside itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(schema: &Value) -> Result<Self, String> {
        compile(schema).map(Self)
    }

    /// Holds a body against it.
    ///
    /// # Errors
    /// Every place that does not fit, up to a bound; no value is repeated.
    pub fn check(&self, body: &Value) -> Result<(), Vec<ParamError>> {
        schema_errors(&self.0, body)
    }
}

impl std::fmt::Debug for BodySchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodySchema")
    }
}
