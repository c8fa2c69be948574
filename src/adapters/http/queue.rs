//! `GET /challenges`: the query of a list, its pages, and how they point at each other.
//!
//! A cursor is a place in the list (keyset pagination over when a challenge was opened and its id), not a grant: what
//! it lets a caller see is decided anew at each page. It carries a digest of the filters that it was made for, so that
//! it cannot be used with others by mistake; one that was made up is refused or shows what any query would.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::json;
use uuid::Uuid;

use super::agentauth::{AgentAuth, no_store};
use super::problem::Problem;
use super::server::Peer;
use crate::domain::approval::ChallengeState;
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, Sha256Digest};
use crate::domain::time::Timestamp;
use crate::service::issuer::queue::{MAX_PAGE, QueueFilter};
use crate::service::ports::{ListKey, Order};
use crate::service::refusal::{Code, Refusal};

/// Changes when the bytes of a cursor mean something else.
const CURSOR_VERSION: u8 = 1;
/// Version, time, id, and the first eight bytes of the filters' digest.
const CURSOR_BYTES: usize = 1 + 8 + 16 + 8;

/// For those who ask for something else.
const PARAMETERS: &str =
    "is no parameter here; there are status, tier, act, agent, workspace, mine, since, until, order, limit and cursor";

/// Name and value as decoded, in the order of the query.
pub(super) type Pairs = Vec<(String, String)>;

/// `GET /challenges?status=pending&mine=true`
pub(super) async fn challenges(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    query: Result<Query<Pairs>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = match query.map_err(|_| unreadable()).and_then(|Query(pairs)| Wanted::parse(pairs)) {
        Ok(wanted) => wanted,
        Err(refusal) => return Err(state.issuer.refuse_at_door(peer.id(), refusal).await.into()),
    };
    let page = state.issuer.challenges(&peer, &wanted.filter, wanted.after, wanted.limit).await?;
    let mut body = json!({ "challenges": page.challenges });
    let next = page.next.map(|key| wanted.cursor(key));
    if let (Some(cursor), Some(members)) = (&next, body.as_object_mut()) {
        members.insert("next".to_owned(), json!(cursor));
    }
    let mut response = no_store(Json(body).into_response());
    if let Some(link) = next.and_then(|cursor| HeaderValue::try_from(wanted.link(&cursor)).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// What a query asks for.
#[derive(Debug)]
struct Wanted {
    filter: QueueFilter,
    after: Option<ListKey>,
    limit: u32,
    /// The query without its cursor.
    pairs: Pairs,
    /// The digest of the filters.
    sum: [u8; 8],
}

impl Wanted {
    fn parse(mut pairs: Pairs) -> Result<Self, Refusal> {
        let (mut filter, mut limit, mut cursor) = (QueueFilter::default(), MAX_PAGE, None);
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &pairs {
            if name != "status" && seen.contains(&name.as_str()) {
                return Err(refused("query_repeated", name, "is given twice; it takes one value"));
            }
            seen.push(name);
            let taken = match name.as_str() {
                "limit" => read(value, &mut limit, |v| v.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n))),
                "cursor" => read(value, &mut cursor, |v| Some(Some(v.to_owned()))),
                _ => filter_by(&mut filter, name, value)?,
            };
            if !taken {
                return Err(refused("query_invalid", name, expected(name)));
            }
        }
        pairs.retain(|(name, _)| name != "cursor");
        let sum = sum_of(&pairs);
        let after = cursor.map(|cursor| open_cursor(&cursor, sum)).transpose()?;
        Ok(Self { filter, after, limit, pairs, sum })
    }

    fn cursor(&self, key: ListKey) -> String {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.push(CURSOR_VERSION);
        bytes.extend(key.created_at.as_millis().to_be_bytes());
        bytes.extend(key.id.as_bytes());
        bytes.extend(self.sum);
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// The next page (RFC 8288 §3).
    fn link(&self, cursor: &str) -> String {
        let mut link = "</challenges?".to_owned();
        for (name, value) in &self.pairs {
            link.push_str(&format!("{}={}&", escaped(name), escaped(value)));
        }
        link.push_str(&format!("cursor={cursor}>; rel=\"next\""));
        link
    }
}

/// `false` when the value is not one that the filter takes.
fn filter_by(filter: &mut QueueFilter, name: &str, value: &str) -> Result<bool, Refusal> {
    Ok(match name {
        "status" => value.split(',').all(|name| {
            let state = ChallengeState::ALL.into_iter().find(|state| state.as_str() == name);
            filter.states.extend(state);
            state.is_some()
        }),
        "tier" => read(value, &mut filter.tier, |v| Tier::ALL.into_iter().find(|t| t.as_str() == v).map(Some)),
        "act" => read(value, &mut filter.act, |v| v.to_owned().try_into().ok().map(Some)),
        "agent" => read(value, &mut filter.agent, |v| v.parse().ok().map(Some)),
        "workspace" => read(value, &mut filter.workspace, |v| v.parse().ok().map(Some)),
        "mine" => read(value, &mut filter.mine, |v| v.parse().ok()),
        "since" => read(value, &mut filter.since, |v| Timestamp::parse_rfc3339(v).ok().map(Some)),
        "until" => read(value, &mut filter.until, |v| Timestamp::parse_rfc3339(v).ok().map(Some)),
        "order" => read(value, &mut filter.order, |v| match v {
            "oldest" => Some(Order::Oldest),
            "newest" => Some(Order::Newest),
            _ => None,
        }),
        _ => return Err(refused("query_unknown", name, PARAMETERS)),
    })
}

fn read<T>(value: &str, to: &mut T, parse: impl FnOnce(&str) -> Option<T>) -> bool {
    parse(value).map(|parsed| *to = parsed).is_some()
}

fn expected(name: &str) -> &'static str {
    match name {
        "status" => "takes states of a challenge such as `pending`, several with commas",
        "tier" => "takes low, medium, high or critical",
        "act" => "takes an act such as `erp.order.read`, or a family such as `erp.*`",
        "agent" => "takes a SPIFFE ID",
        "workspace" => "takes the name of a workspace",
        "mine" => "takes true or false",
        "since" | "until" => "takes an RFC 3339 time such as `2026-11-21T10:00:00Z`",
        "order" => "takes oldest or newest",
        "limit" => "takes 1 to 200",
        _ => "takes the `next` of the page before, with the same filters",
    }
}

fn unreadable() -> Refusal {
    Refusal::because(Code::RequestMalformed, "query_invalid", "the query is not `name=value` joined by `&`, in UTF-8")
}

/// A refusal that names the parameter, without what could hide in a name that is none of ours.
fn refused(reason: &str, name: &str, what: &str) -> Refusal {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '?' };
    let name: String = name.chars().take(40).map(plain).collect();
    let detail = format!("`{name}` {what}");
    Refusal::because(Code::RequestMalformed, reason, detail.clone()).at(format!("/query/{name}"), detail)
}

fn sum_of(pairs: &Pairs) -> [u8; 8] {
    let mut filters: Vec<_> = pairs.iter().filter(|(name, _)| name != "limit").collect();
    filters.sort();
    let digest = Sha256Digest::of(json!(filters).to_string().as_bytes());
    let mut sum = [0; 8];
    sum.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    sum
}

fn open_cursor(cursor: &str, sum: [u8; 8]) -> Result<ListKey, Refusal> {
    let forged = || refused("query_invalid", "cursor", expected("cursor"));
    let mut bytes = [0; CURSOR_BYTES];
    let decoded = Base64UrlUnpadded::decode(cursor, &mut bytes).map_err(|_| forged())?;
    let (version, rest) = decoded.split_first().ok_or_else(forged)?;
    let (at, rest) = rest.split_first_chunk::<8>().ok_or_else(forged)?;
    let (id, of) = rest.split_first_chunk::<16>().ok_or_else(forged)?;
    let id: ChallengeId = Uuid::from_bytes(*id).to_string().parse().map_err(|_| forged())?;
    if *version != CURSOR_VERSION || of != sum {
        return Err(forged());
    }
    Ok(ListKey { created_at: Timestamp::from_millis(u64::from_be_bytes(*at)), id })
}

/// As RFC 3986 §2.1 says, with nothing left that means something in a query.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'*' | b',');
    let escape = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Wanted, Refusal> {
        Wanted::parse(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn key() -> ListKey {
        let at = Timestamp::from_secs(1_790_000_000);
        ListKey { created_at: at, id: ChallengeId::new(at, [9; 10]) }
    }

    #[test]
    fn a_cursor_goes_with_its_filters_and_no_others() {
        let first = parse(&[("status", "pending"), ("limit", "50")]).unwrap();
        let cursor = first.cursor(key());
        let again = parse(&[("limit", "20"), ("status", "pending"), ("cursor", &cursor)]).unwrap();
        assert_eq!(again.after, Some(key()));
        for filters in [&[("status", "approved")][..], &[("status", "pending"), ("tier", "high")], &[]] {
            let mut pairs = filters.to_vec();
            pairs.push(("cursor", &cursor));
            assert_eq!(parse(&pairs).unwrap_err().faults[0].pointer, "/query/cursor", "{filters:?}");
        }
    }

    #[test]
    fn no_change_of_a_cursor_is_taken_but_of_the_place_itself() {
        let wanted = parse(&[]).unwrap();
        let cursor = wanted.cursor(key());
        let bytes = Base64UrlUnpadded::decode_vec(&cursor).unwrap();
        for place in (0..bytes.len()).filter(|place| *place == 0 || *place >= 25) {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(open_cursor(&Base64UrlUnpadded::encode_string(&changed), wanted.sum).is_err(), "byte {place}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        for forged in ["", "x", "====", "//////", &cursor[1..], &Base64UrlUnpadded::encode_string(&longer)] {
            assert!(open_cursor(forged, wanted.sum).is_err(), "{forged}");
        }
    }

    #[test]
    fn a_link_leads_to_the_next_page_of_the_same_list() {
        let wanted = parse(&[("agent", "spiffe://atb.dev/agent/a"), ("since", "2026-11-21T10:00:00+01:00")]).unwrap();
        let expected =
            "</challenges?agent=spiffe://atb.dev/agent/a&since=2026-11-21T10:00:00%2B01:00&cursor=C>; rel=\"next\"";
        assert_eq!(wanted.link("C"), expected);
    }
}
