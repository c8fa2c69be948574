//! JSON into regorus's values, by our own reading.
//!
//! regorus's own reader takes the object `{"$serde_json::private::Number": "1e999999999"}` for a number: another type
//! than every other reader sees, and one that takes minutes to compute. Here an object is an object. A text beyond the
//! bounds of `domain::json` is not read at all.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use regorus::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::domain::json::{MAX_DEPTH, MAX_NODES};

/// Below the parameters' own depth there are the members of the input that hold them.
const DEPTH: usize = MAX_DEPTH + 8;
/// Parameters, constraints and ground each have [`MAX_NODES`] at most.
const NODES: usize = 4 * MAX_NODES;

/// Reads the policy's input; none if it is not JSON within the bounds.
pub(super) fn input(json: &str) -> Option<Value> {
    let budget = Cell::new(NODES);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = Build { depth: DEPTH, budget: &budget }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

/// Converts a value that the strict reader has let pass.
pub(super) fn convert(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::from(*b),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => Value::from(i),
            (None, Some(u), _) => Value::from(u),
            (None, None, Some(f)) => Value::from(f),
            (None, None, None) => Value::Undefined,
        },
        serde_json::Value::String(s) => Value::from(s.as_str()),
        serde_json::Value::Array(items) => Value::from(items.iter().map(convert).collect::<Vec<_>>()),
        serde_json::Value::Object(members) => Value::from(
            members
                .iter()
                .map(|(name, value)| (Value::from(name.as_str()), convert(value)))
                .collect::<BTreeMap<_, _>>(),
        ),
    }
}

#[derive(Clone, Copy)]
struct Build<'b> {
    depth: usize,
    budget: &'b Cell<usize>,
}

impl Build<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.budget.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.budget.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() { Ok(Value::from(value)) } else { Err(E::custom("a number that is not finite")) }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::from(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = BTreeMap::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let value = map.next_value_seed(inner)?;
            if members.insert(Value::from(name.as_ref()), value).is_some() {
                return Err(A::Error::custom("a duplicate member name"));
            }
        }
        Ok(Value::from(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_an_object_whatever_its_members_are_called() {
        let value = input(r#"{"$serde_json::private::Number": "1e999999999"}"#).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_json_within_the_bounds_is_not_read() {
        let deep = format!("{}1{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
        for bad in ["", "{", "{} {}", "1e999", r#"{"a":1,"a":2}"#, &deep] {
            assert!(input(bad).is_none(), "{bad}");
        }
        assert!(input(&format!("[{}]", vec!["1"; NODES].join(","))).is_none());
    }

    #[test]
    fn both_ways_in_give_the_same_value() {
        let text = r#"{"a":[1,-2,1.5,true,null,"x\n"],"b":{}}"#;
        assert_eq!(input(text).unwrap(), convert(&serde_json::from_str(text).unwrap()));
        assert_eq!(input(text).unwrap(), Value::from_json_str(text).unwrap());
    }
}
