use serde_json::{Value, json};

use super::super::Bundle;
use super::super::samples::with;
use super::*;

fn catalogue(limits: &Value) -> Value {
    json!({"erp.order.read": {
        "title": "t", "view": "v", "tier": "low", "data_class": "internal", "reversibility": "read_only",
        "bind_request": false, "limits": limits,
        "parameters": {"type": "object", "additionalProperties": false, "properties": {
            "amount": {"type": "number", "minimum": 0, "maximum": 1000},
            "count": {"type": "integer"},
            "name": {"type": "string", "minLength": 2, "maxLength": 40},
            "ids": {"type": "array", "maxItems": 50},
            "flag": {"type": "boolean"},
            "either": {"type": ["string", "null"]},
        }},
    }})
}

fn load(limits: &Value) -> Result<Bundle, String> {
    let files = with(&[("catalogue/data.json", &catalogue(limits).to_string())]);
    Bundle::parse(&files).map_err(|error| error.to_string())
}

#[test]
fn a_limit_that_fits_its_parameter_is_taken() {
    for limits in [
        json!({}),
        json!({"amount": {"min": 1, "max": 999.5}, "count": {"in": [1, 2, 3], "max": 3}}),
        json!({"name": {"pattern": "^[A-Z]", "min_length": 3, "max_length": 10}, "ids": {"max_length": 50}}),
        json!({"name": "Ada", "flag": true, "amount": 5, "count": {"eq": 4}}),
        json!({"amount": {"max": 1000}}),
    ] {
        assert!(load(&limits).is_ok(), "{limits}: {:?}", load(&limits).err());
    }
}

#[test]
fn a_limit_that_nothing_can_keep_or_that_never_matters_is_refused_at_its_place() {
    for (limits, what) in [
        (json!({"price": {"max": 1}}), "is on no parameter"),
        (json!({"amount": {}}), "neither a value nor operators"),
        (json!({"amount": null}), "neither a value nor operators"),
        (json!({"amount": [1]}), "neither a value nor operators"),
        (json!({"amount": {"maximum": 1}}), "unknown operator `maximum`"),
        (json!({"amount": {"max": "1"}}), "`max` that does not fit"),
        (json!({"amount": {"max_length": 1}}), "`max_length` that does not fit"),
        (json!({"name": {"max": 1}}), "`max` that does not fit"),
        (json!({"name": {"max_length": -1}}), "`max_length` that does not fit"),
        (json!({"name": {"min_length": 1.5}}), "`min_length` that does not fit"),
        (json!({"name": {"in": []}}), "`in` that does not fit"),
        (json!({"name": {"in": ["a", 1]}}), "`in` that does not fit"),
        (json!({"flag": "true"}), "`eq` that does not fit"),
        (json!({"ids": {"eq": "a"}}), "`eq` that does not fit"),
        (json!({"either": {"eq": "a"}}), "`eq` that does not fit"),
        (json!({"name": {"pattern": "("}}), "cannot be used"),
        (json!({"name": {"pattern": "(?=a)"}}), "cannot be used"),
        (json!({"name": {"pattern": "a{1000}{1000}"}}), "cannot be used"),
        (json!({"name": {"pattern": 7}}), "not a text"),
        (json!({"amount": {"pattern": "1"}}), "`pattern` that does not fit"),
        (json!({"amount": {"min": 5, "max": 4}}), "above its `max`"),
        (json!({"name": {"min_length": 5, "max_length": 4}}), "above its `max_length`"),
        (json!({"count": {"in": [5, 6], "max": 4}}), "names no value"),
        (json!({"name": {"eq": "ada", "pattern": "^[A-Z]"}}), "names no value"),
        (json!({"amount": {"max": 1001}}), "never lets a call reach"),
        (json!({"amount": {"min": -1}}), "never lets a call reach"),
        (json!({"name": {"max_length": 41}}), "never lets a call reach"),
        (json!({"ids": {"max_length": 51}}), "never lets a call reach"),
        (json!({"amount": {"max": -1}}), "no value of the schema keeps"),
        (json!({"name": {"min_length": 41}}), "no value of the schema keeps"),
    ] {
        let error = load(&limits).expect_err(&limits.to_string());
        assert!(error.contains(what) && error.starts_with("catalogue/data.json:1:"), "{limits}: {error}");
    }
}

#[test]
fn narrower_is_what_lets_nothing_more_through() {
    let wider = |limit: Value, base: Value| Operators::of(&limit).unwrap().wider_than(&Operators::of(&base).unwrap());
    for (limit, base) in [
        (json!({"max": 5}), json!({"max": 5})),
        (json!({"max": 5}), json!({"min": 1})),
        (json!({"min": 2, "max": 3}), json!({"min": 1, "max": 9})),
        (json!({"in": ["a"]}), json!({"in": ["a", "b"]})),
        (json!(3), json!({"in": [3.0, 4], "max": 10})),
        (json!({"eq": "ab"}), json!({"pattern": "^a", "max_length": 2})),
        (json!({"pattern": "^a"}), json!({"pattern": "^a"})),
        (json!({"pattern": "^a"}), json!({"max_length": 3})),
        (json!({"min_length": 4}), json!({"min_length": 3})),
    ] {
        assert_eq!(wider(limit.clone(), base.clone()), None, "{limit} {base}");
    }
    for (limit, base) in [
        (json!({"max": 6}), json!({"max": 5})),
        (json!({"min": 0}), json!({"min": 1})),
        (json!({"max_length": 6}), json!({"max_length": 5})),
        (json!({"min_length": 2}), json!({"min_length": 3})),
        (json!({"in": ["a", "c"]}), json!({"in": ["a", "b"]})),
        (json!("c"), json!({"in": ["a", "b"]})),
        (json!(11), json!({"max": 10})),
        (json!({"eq": "xb"}), json!({"pattern": "^a"})),
        (json!({"pattern": "^b"}), json!({"pattern": "^a"})),
    ] {
        assert!(wider(limit.clone(), base.clone()).is_some(), "{limit} {base}");
    }
}
