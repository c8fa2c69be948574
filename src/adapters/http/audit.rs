//! `GET /audit`, the same at both doors: a question to the record, its pages, and how they point at each other.
//!
//! The conditions are those of [`crate::domain::ledger::query`]; `order`, `limit` and `from` say which page. An entry is
//! passed on byte for byte, so that its leaf can be computed from what is answered. A place in the record is a number and
//! no secret: it means the same in every question, and whoever may read one page may read all.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use base64ct::{Base64, Encoding as _};
use serde::Serialize;
use serde_json::value::RawValue;

use super::body;
use super::leg::LegDoor;
use super::problem::Problem;
use super::server::Peer;
use crate::domain::ledger::query::{Query, QueryError};
use crate::service::audit::AuditReads;
use crate::service::ports::{AuditPage, AuditQuestion, Found, MAX_AUDIT_PAGE, Order};
use crate::service::refusal::{Code, Refusal};

/// Entries on a page where no number is asked for.
const DEFAULT_PAGE: u32 = 100;

/// A door that auditors come to.
pub trait AuditDoor: LegDoor {
    /// The readers of this process's record.
    fn audit(&self) -> &AuditReads;
}

/// The route.
pub fn routes<D: AuditDoor>() -> Router<D> {
    Router::new().route("/audit", get(audit::<D>))
}

/// Name and value as decoded, in the order of the request.
type Pairs = Vec<(String, String)>;

/// `GET /audit?agent=…&decision=deny&order=newest&limit=50`
async fn audit<D: AuditDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    parameters: Result<Parameters<Pairs>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = body::no_other_identity(&headers, peer.id().as_str())
        .and_then(|()| door.audit().admit(&peer))
        .and_then(|()| parameters.map_err(|_| unreadable()))
        .and_then(|Parameters(pairs)| question(&pairs));
    let answered = match asked {
        Ok(question) => door.audit().read(&peer, &question).await.map(|page| document(&question, &page)),
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(document) => {
            let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(([json, (CACHE_CONTROL, HeaderValue::from_static("no-store"))], document).into_response())
        }
        Err(refusal) => Err(door.refused(peer.id(), refusal).await.into()),
    }
}

fn question(pairs: &Pairs) -> Result<AuditQuestion, Refusal> {
    let mut question = AuditQuestion { limit: DEFAULT_PAGE, ..AuditQuestion::default() };
    let mut conditions: Vec<(&str, &str)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    // What stands for bytes that are no UTF-8 once they are decoded; nobody asks for it.
    if pairs.iter().any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}')) {
        return Err(unreadable());
    }
    for (name, value) in pairs {
        let name = name.as_str();
        if !matches!(name, "order" | "limit" | "from") {
            conditions.push((name, value));
            continue;
        }
        if seen.contains(&name) {
            return Err(refused("query_repeated", name, format!("`{name}` is given twice")));
        }
        seen.push(name);
        let invalid = |what: &str| refused("query_invalid", name, format!("`{name}` takes {what}"));
        match name {
            "order" => {
                question.order = match value.as_str() {
                    "oldest" => Order::Oldest,
                    "newest" => Order::Newest,
                    _ => return Err(invalid("oldest or newest")),
                }
            }
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=MAX_AUDIT_PAGE).contains(number));
                question.limit = number.ok_or_else(|| invalid(&format!("1 to {MAX_AUDIT_PAGE}")))?;
            }
            _ => {
                let number = value.parse().ok().filter(|number: &u64| number.to_string() == *value);
                question.from = Some(number.ok_or_else(|| invalid("the `next` of the page before, a number"))?);
            }
        }
    }
    question.query = Query::of_pairs(conditions).map_err(|error| query_refused(&error))?;
    Ok(question)
}

fn query_refused(error: &QueryError) -> Refusal {
    let reason = match error {
        QueryError::UnknownKey { .. } => "query_unknown",
        QueryError::Repeated { .. } => "query_repeated",
        _ => "query_invalid",
    };
    refused(reason, error.name().unwrap_or_default(), error.to_string())
}

fn refused(reason: &str, name: &str, detail: String) -> Refusal {
    Refusal::because(Code::RequestMalformed, reason, detail.clone()).at(format!("/query/{name}"), detail)
}

fn unreadable() -> Refusal {
    Refusal::because(Code::RequestMalformed, "query_invalid", "the query is not `name=value` joined by `&`, in UTF-8")
}

#[derive(Serialize)]
struct Page<'a> {
    size: u64,
    items: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    more: bool,
}

#[derive(Serialize)]
struct Item<'a> {
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a RawValue>,
    /// Base64 of bytes that are no JSON any more: somebody changed them.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

fn document(question: &AuditQuestion, page: &AuditPage) -> String {
    // Oldest first there is always a next page, for who waits for what is not written yet.
    let next = (page.more || question.order == Order::Oldest).then_some(page.seen);
    let document = Page { size: page.size, items: page.items.iter().map(item).collect(), next, more: page.more };
    // INVARIANT: numbers, texts and JSON that was read as JSON; this cannot fail.
    serde_json::to_string(&document).unwrap_or_default()
}

fn item(found: &Found) -> Item<'_> {
    let entry = serde_json::from_slice::<&RawValue>(&found.body).ok();
    let unreadable = entry.is_none().then(|| Base64::encode_string(&found.body));
    Item { seq: found.seq, entry, unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<AuditQuestion, Refusal> {
        question(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_page_is_asked_for_by_order_place_and_length_and_the_rest_is_the_question() {
        let first = asked(&[("act", "erp.*"), ("order", "newest"), ("limit", "5"), ("from", "77")]).unwrap();
        assert_eq!((first.order, first.limit, first.from), (Order::Newest, 5, Some(77)));
        assert_eq!(first.query.to_string(), "act=erp.*");
        assert_eq!(asked(&[]).unwrap().limit, DEFAULT_PAGE);
    }

    #[test]
    fn what_is_no_parameter_or_no_value_is_refused_with_its_name() {
        for (pairs, reason, pointer) in [
            (&[("agnet", "x")][..], "query_unknown", "/query/agnet"),
            (&[("act", "erp.*"), ("act", "erp.*")], "query_repeated", "/query/act"),
            (&[("limit", "1"), ("limit", "1")], "query_repeated", "/query/limit"),
            (&[("limit", "0")], "query_invalid", "/query/limit"),
            (&[("limit", "1001")], "query_invalid", "/query/limit"),
            (&[("from", "-1")], "query_invalid", "/query/from"),
            (&[("from", "+1")], "query_invalid", "/query/from"),
            (&[("order", "random")], "query_invalid", "/query/order"),
            (&[("decision", "maybe")], "query_invalid", "/query/decision"),
            (&[("since", "2026-11-02"), ("until", "2026-11-01")], "query_invalid", "/query/until"),
        ] {
            let refusal = asked(pairs).unwrap_err();
            assert_eq!((refusal.reason.as_str(), refusal.faults[0].pointer.as_str()), (reason, pointer));
        }
    }

    #[test]
    fn an_entry_is_passed_on_byte_for_byte_and_what_is_none_is_not_lost() {
        let body = br#"{ "b":1.0,"a":"\u0041" }"#.to_vec();
        let found = |seq, body: &[u8]| Found { seq, body: body.to_vec() };
        let page = AuditPage { items: vec![found(3, &body), found(4, b"\xff{")], seen: 5, more: false, size: 9 };
        let newest = asked(&[("order", "newest")]).unwrap();
        let expected = r#"{"size":9,"items":[{"seq":3,"entry":{ "b":1.0,"a":"\u0041" }},{"seq":4,"unreadable":"/3s="}],"more":false}"#;
        assert_eq!(document(&newest, &page), expected);
        assert!(document(&asked(&[]).unwrap(), &page).contains(r#""next":5"#), "oldest first one can wait for more");
    }
}
