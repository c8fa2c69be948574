//! `atb policy eval`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::sources::{self, Sources};
use crate::adapters::policy_job::{self, EvalJob, Evaluated, JobError, LinesJob};
use crate::cli::output;
use crate::domain::json;
use crate::domain::policy::PolicyFault;

/// The most bytes of input.
const MAX_INPUT: u64 = 8 * 1024 * 1024;

/// Evaluate a query over a bundle, its tests included, in the engine that decides in production.
///
/// The query is held to the safe profile like any other text. Exit codes: 0 it was evaluated, 1 with --fail or
/// --fail-defined, 2 it could not be.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy eval -i input.json data.atb.poa.decision\n  atb policy eval --inputs inputs.jsonl data.atb.poa.decision\n  atb policy eval --format raw 'data.atb.poa.decision.reason with input as data.atb_test.low'\n  atb policy eval --fail -d opa 'data.catalogue[\"erp.vendor.read\"]'"
)]
pub(super) struct Args {
    /// The query.
    query: String,
    /// The bundle; the configuration's bundle or ./opa without it.
    #[arg(short = 'd', long = "bundle", value_name = "PATH")]
    path: Option<PathBuf>,
    /// The input, a JSON file.
    #[arg(short, long, value_name = "FILE", conflicts_with = "stdin")]
    input: Option<PathBuf>,
    /// Read the input from standard input.
    #[arg(short = 'I', long)]
    stdin: bool,
    /// Evaluate a rule over many inputs, one JSON document a line, and print `{"result": …}` a line in their order: `{}`
    /// where the rule is undefined, `{"error": "policy_…"}` where it has no answer. QUERY is the rule's path.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "stdin", "format", "metrics", "fail_defined"])]
    inputs: Option<PathBuf>,
    /// Engines at work at a time, with --inputs; the number of cores without it.
    #[arg(short, long, value_name = "N", requires = "inputs")]
    parallel: Option<usize>,
    /// More data: a .json or .yaml file, a .rego file, or a folder laid out as a bundle.
    #[arg(long, value_name = "PATH")]
    data: Vec<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    format: Form,
    /// Exit 1 when the result is undefined.
    #[arg(long, conflicts_with = "fail_defined")]
    fail: bool,
    /// Exit 1 when the result is defined.
    #[arg(long)]
    fail_defined: bool,
    /// Print how long it took.
    #[arg(long)]
    metrics: bool,
    /// The longest that it may take.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = sources::duration)]
    timeout: Duration,
    /// Take modules for Rego v0 where the bundle's manifest names no version: rules without `if` and `contains`.
    #[arg(long)]
    v0_compatible: bool,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    /// As `opa eval`.
    #[default]
    Json,
    /// A value alone, or a table of bindings.
    Pretty,
    /// The values of the expressions.
    Values,
    /// Texts without quotes, anything else as JSON on one line.
    Raw,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let paths: Vec<PathBuf> = args.path.iter().cloned().collect();
    let mut sources = Sources::read(&paths, &args.config)?;
    for path in &args.data {
        sources.add(path)?;
    }
    let sources = sources.in_version(args.v0_compatible)?;
    if let Some(path) = &args.inputs {
        return lines(args, &sources, path);
    }
    let job = EvalJob {
        query: args.query.clone(),
        input: input(args)?,
        timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let evaluated = match policy_job::eval(&std::env::current_exe()?, &sources.files, job) {
        Ok(evaluated) => evaluated,
        Err(JobError::Refused(error)) => {
            let one = |finding: &crate::domain::policy::bundle::Finding| {
                let file = if finding.file == "query" { String::new() } else { sources.shown(&finding.file) };
                let message = format!("{}, {}", finding.what, finding.fix);
                json!({"message": message, "code": "atb_profile_error",
                       "location": {"file": file, "row": finding.line, "col": finding.column}})
            };
            return Ok(errors(args.format, error.findings().iter().map(one).collect()));
        }
        Err(error) => return Err(error).with_context(|| sources.to_string()),
    };
    let mut answer = match &evaluated.answer {
        Ok(answer) => answer.clone(),
        Err(message) => return Ok(errors(args.format, vec![json!({"message": message, "code": "eval_error"})])),
    };
    if args.metrics
        && let Some(members) = answer.as_object_mut()
    {
        members.insert("metrics".to_owned(), metrics(&evaluated));
    }
    print(args.format, &answer);
    let defined = answer.get("result").is_some();
    Ok(if (args.fail && !defined) || (args.fail_defined && defined) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One answer a line; exit 1 where an input has no answer, with --fail also where the rule is undefined for one.
fn lines(args: &Args, sources: &Sources, path: &Path) -> anyhow::Result<ExitCode> {
    let Some(rule) = args.query.strip_prefix("data.") else {
        bail!("with --inputs the query is the path of a rule, as data.atb.poa.decision");
    };
    let job = LinesJob {
        rule: rule.to_owned(),
        inputs: Vec::new(),
        timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX),
        parallel: args.parallel.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
    };
    let shown = || format!("cannot read `{}`", path.display());
    let inputs = BufReader::new(File::open(path).with_context(shown)?);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut code = ExitCode::SUCCESS;
    let done = policy_job::eval_lines(&std::env::current_exe()?, &sources.files, &job, inputs, |answered| {
        let (line, failed) = match answered.answer {
            Ok(value) => (json!({ "result": value }), false),
            Err(PolicyFault::Undefined) => (json!({}), args.fail),
            Err(fault) => (json!({ "error": fault.to_string() }), true),
        };
        if failed {
            code = ExitCode::FAILURE;
        }
        writeln!(out, "{line}")
    });
    done.with_context(|| sources.to_string())?;
    out.flush()?;
    Ok(code)
}

fn input(args: &Args) -> anyhow::Result<Option<Value>> {
    let bytes = match (&args.input, args.stdin) {
        (Some(path), _) => std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?,
        (None, true) => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes)?;
            bytes
        }
        (None, false) => return Ok(None),
    };
    let name = args.input.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    json::parse(&bytes).map(Some).with_context(|| format!("the input in `{name}`"))
}

fn metrics(evaluated: &Evaluated) -> Value {
    json!({
        "timer_rego_module_parse_ns": evaluated.parse_nanos,
        "timer_rego_module_compile_ns": evaluated.load_nanos,
        "timer_rego_query_eval_ns": evaluated.eval_nanos,
    })
}

fn errors(format: Form, errors: Vec<Value>) -> ExitCode {
    if format == Form::Json {
        output::json(&json!({ "errors": errors }));
    } else {
        for error in &errors {
            let number = |name: &str| error.pointer(&format!("/location/{name}")).and_then(Value::as_u64);
            let file = error.pointer("/location/file").and_then(Value::as_str).filter(|file| !file.is_empty());
            let place = match (number("row"), number("col")) {
                (Some(row), Some(col)) => format!("{}:{row}:{col}: ", file.unwrap_or("query")),
                _ => String::new(),
            };
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
            output::note(&format!("{place}{message}"));
        }
    }
    ExitCode::from(2)
}

fn print(format: Form, answer: &Value) {
    match format {
        Form::Json => output::json(answer),
        Form::Pretty => pretty(answer),
        Form::Values => results(answer).for_each(|result| output::json(&values(result))),
        Form::Raw => results(answer).for_each(|result| output::line(&raw(result))),
    }
}

fn results(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("result").and_then(Value::as_array).into_iter().flatten()
}

fn expressions(result: &Value) -> impl Iterator<Item = (&str, &Value)> {
    result
        .get("expressions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|expression| Some((expression.get("text").and_then(Value::as_str)?, expression.get("value")?)))
}

fn values(result: &Value) -> Value {
    expressions(result).map(|(_, value)| value.clone()).collect()
}

fn raw(result: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    expressions(result).map(|(_, value)| text(value)).collect::<Vec<_>>().join(" ")
}

/// One value alone as it is, anything else as a table with a row a result.
fn pretty(answer: &Value) {
    let rows: Vec<&Value> = results(answer).collect();
    let bindings = |result: &Value| {
        let members = result.get("bindings").and_then(Value::as_object).into_iter().flatten();
        members.map(|(name, value)| (name.clone(), value.to_string())).collect::<Vec<_>>()
    };
    match rows.as_slice() {
        [] => output::line("undefined"),
        [one] if bindings(one).is_empty() && expressions(one).count() == 1 => {
            expressions(one).for_each(|(_, value)| output::json(value));
        }
        rows => {
            let cells = |result: &&Value| {
                let bound = bindings(result);
                if !bound.is_empty() {
                    return bound;
                }
                expressions(result).map(|(text, value)| (text.to_owned(), value.to_string())).collect()
            };
            table(&rows.iter().map(cells).collect::<Vec<_>>());
        }
    }
    if let Some(metrics) = answer.get("metrics").and_then(Value::as_object) {
        let row = |(name, value): (&String, &Value)| {
            vec![("Metric".to_owned(), name.clone()), ("Value".to_owned(), value.to_string())]
        };
        table(&metrics.iter().map(row).collect::<Vec<_>>());
    }
}

fn table(rows: &[Vec<(String, String)>]) {
    let Some(first) = rows.first() else { return };
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|(_, value)| value.chars().count());
        cells.chain(first.get(column).map(|(name, _)| name.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..first.len()).map(width).collect();
    let rule = |left: &str, middle: &str, right: &str| {
        let lines: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        output::line(&format!("{left}{}{right}", lines.join(middle)));
    };
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} ")).collect();
        output::line(&format!("│{}│", cells.join("│")));
    };
    rule("┌", "┬", "┐");
    line(first.iter().map(|(name, _)| name.as_str()).collect());
    rule("├", "┼", "┤");
    rows.iter().for_each(|row| line(row.iter().map(|(_, value)| value.as_str()).collect()));
    rule("└", "┴", "┘");
}
