use super::*;

/// What `expression` is in an engine with every extension, at `input.time` 1,000 s.
fn eval(expression: &str) -> Result<String, String> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(false);
    let source = format!("package p\n\nx := {expression}\n");
    let session = Session::new();
    install(&mut engine, &session, &[&source], false).unwrap();
    engine.add_policy("p".to_owned(), source).unwrap();
    session.start(&Value::from_json_str(r#"{"time": 1000}"#).unwrap());
    let answer = engine.eval_rule("data.p.x".to_owned()).map_err(|e| e.to_string());
    assert_eq!(answer.is_err(), session.exceeded(), "an error of an extension is a bound, and remembered");
    answer.map(|value| value.to_string())
}

#[test]
fn the_clock_stands_at_the_inputs_time_and_nowhere_else() {
    assert_eq!(eval("time.now_ns()").unwrap(), "1000000000000");
    let session = Session::new();
    for input in
        ["{}", r#"{"time": -1}"#, r#"{"time": "1"}"#, r#"{"time": 1.5}"#, "null", r#"{"time": 9223372036854775807}"#]
    {
        session.start(&Value::from_json_str(input).unwrap());
        assert_eq!(session.now(), Err(Stop::Undefined), "{input}");
    }
}

#[test]
fn what_exceeds_a_bound_is_an_error_and_ends_at_once() {
    let start = std::time::Instant::now();
    for expression in [
        "numbers.range(1, 1000000000)",
        "numbers.range(-9223372036854775807, 9223372036854775807)",
        "numbers.range_step(1, 1000000000, 2)",
        "net.cidr_expand(\"0.0.0.0/0\")",
        "net.cidr_expand(\"::/0\")",
        "sprintf(\"%999999d\", [1])",
        "sprintf(\"%.99999f\", [1.5])",
        "sprintf(\"%[1]d\", [1])",
        "units.parse_bytes(\"1e999999999K\")",
        "units.parse(\"1e999999999K\")",
        "to_number(\"1e999999999\")",
        "bits.lsh(1, 1000000000)",
        "replace(replace(replace(sprintf(\"%1000d\", [1]), \" \", \"0123456789\"), \"\", \"0123456789\"), \"\", \"0123456789\")",
        "net.cidr_merge([\"10.0.0.1\"])",
    ] {
        assert!(eval(expression).is_err(), "{expression}");
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn no_extension_panics_whatever_it_is_given() {
    let values = [
        Value::Null,
        Value::from(true),
        Value::from(0),
        Value::from(-1),
        Value::from(i64::MIN),
        Value::from(u64::MAX),
        Value::from(1.5e300),
        Value::from(""),
        Value::from("."),
        Value::from(".."),
        Value::from("a.b.c"),
        Value::from("e30.e30.e30"),
        Value::from("%"),
        Value::from("%*.*%%%"),
        Value::from("%\u{1F600}d"),
        Value::from("::/0"),
        Value::from("\u{1F600}"),
        Value::from("-----BEGIN CERTIFICATE-----"),
        Value::from("{\"keys\":[{}]}"),
        Value::new_array(),
        Value::from(vec![Value::Null, Value::new_set(), Value::from("x")]),
        Value::new_object(),
        Value::new_set(),
    ];
    let session = Session::new();
    for Extension { arguments, call, .. } in tables() {
        let arguments = usize::from(*arguments);
        for i in 0..values.len().pow(u32::from(arguments.min(3) as u8)) {
            let args: Vec<Value> =
                (0..arguments).map(|at| values[i / values.len().pow(at as u32) % values.len()].clone()).collect();
            drop(call(&session, &args));
        }
    }
}

#[test]
fn every_name_is_there_once() {
    let names: Vec<_> = names().map(|(name, _)| name).collect();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), distinct.len());
}

#[test]
fn an_engine_gets_the_extensions_that_its_sources_name() {
    let mut engine = Engine::new();
    install(&mut engine, &Session::new(), &["x := crypto.md5(y)"], false).unwrap();
    let free = |name: &str| {
        let nothing = |_: Vec<Value>| Ok(Value::Null);
        engine.clone().add_extension(name.to_owned(), 1, Box::new(nothing)).is_ok()
    };
    assert!(!free("crypto.md5"));
    assert!(free("crypto.sha1"));
}
