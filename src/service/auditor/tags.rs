//! Four bytes that stand for a name, kept for each entry of a full block, so that the entries of an agent, a mandate or a
//! decision are found without an index row for every entry.
//!
//! They are no part of the tree. Whoever can write the file could hide entries from questions with them. So they are held
//! against the entries of the block. A block without them is looked at whole, which hides nothing.

use super::{Columns, LogRow};
use crate::domain::id::Sha256Digest;

/// Stands for a name. Different names may have the same tag: it says where to look, not what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag([u8; 4]);

impl Tag {
    /// Where there is no name.
    pub const NONE: Self = Self([0; 4]);

    /// Of an agent.
    pub fn of_agent(agent: &str) -> Self {
        Self::first_of(Sha256Digest::of(agent.as_bytes()).as_bytes().first_chunk())
    }

    /// Of a mandate or a decision: the end of a UUIDv7, which is random (RFC 9562 §5.7).
    pub fn of_id(id: &[u8; 16]) -> Self {
        Self::first_of(id.last_chunk())
    }

    fn first_of(bytes: Option<&[u8; 4]>) -> Self {
        let tag = Self(bytes.copied().unwrap_or_default());
        if tag == Self::NONE { Self([0, 0, 0, 1]) } else { tag }
    }

    /// As stored.
    pub fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// As stored.
    pub fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

/// The tags of one entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tags {
    /// Of its agent.
    pub agent: Tag,
    /// Of its mandate.
    pub jti: Tag,
    /// Of its decision.
    pub decision: Tag,
}

impl Tags {
    /// Of an entry with these columns.
    pub fn of(columns: &Columns) -> Self {
        Self {
            agent: columns.agent.as_deref().map_or(Tag::NONE, Tag::of_agent),
            jti: columns.jti.as_ref().map_or(Tag::NONE, |id| Tag::of_id(id.as_bytes())),
            decision: columns.decision_id.as_ref().map_or(Tag::NONE, |id| Tag::of_id(id.as_bytes())),
        }
    }
}

/// The tags that are kept of one block, unverified: four bytes an entry, in the order of the entries. Absent where there
/// are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredTags {
    /// Of agents.
    pub agents: Option<Vec<u8>>,
    /// Of mandates.
    pub jtis: Option<Vec<u8>>,
    /// Of decisions.
    pub decisions: Option<Vec<u8>>,
}

impl StoredTags {
    /// Whether the entries of the block that begins with the entry `start` say something else. Of entries that are not
    /// here nothing is known.
    pub(super) fn are_contradicted_by(&self, start: u64, rows: &[LogRow]) -> bool {
        let parts = [self.agents.as_deref(), self.jtis.as_deref(), self.decisions.as_deref()];
        if parts.iter().all(Option::is_none) {
            return false;
        }
        rows.iter().any(|row| {
            let (Some(columns), false) = (row.columns.as_ref(), row.body.is_empty()) else { return false };
            let Tags { agent, jti, decision } = Tags::of(columns);
            let place = usize::try_from(row.seq - start).unwrap_or(usize::MAX);
            parts.iter().zip([agent, jti, decision]).any(|(part, tag)| {
                part.is_some_and(|bytes| bytes.as_chunks::<4>().0.get(place) != Some(tag.as_bytes()))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{DecisionId, Jti};
    use crate::domain::time::Timestamp;

    fn row(seq: u64, named: bool) -> LogRow {
        let at = Timestamp::from_secs(1);
        let columns = Columns {
            event_type: "broker_decision".to_owned(),
            at,
            agent: named.then(|| "spiffe://atb.test/agent/a".to_owned()),
            act: None,
            reason: None,
            jti: named.then(|| Jti::new(at, [7; 10])),
            challenge_id: None,
            decision_id: named.then(|| DecisionId::new(at, [9; 10])),
            workspace: crate::domain::id::WorkspaceId::default(),
        };
        LogRow { seq, body: vec![1], leaf: Vec::new(), columns: Some(columns) }
    }

    #[test]
    fn tags_are_those_of_the_entries_and_each_other_byte_contradicts_them() {
        let rows = [row(256, true), row(257, false)];
        let of = |part: fn(&Tags) -> Tag| {
            let tags = rows.iter().map(|row| Tags::of(row.columns.as_ref().unwrap()));
            tags.flat_map(|tags| *part(&tags).as_bytes()).collect::<Vec<u8>>()
        };
        let (agents, jtis, decisions) = (of(|t| t.agent), of(|t| t.jti), of(|t| t.decision));
        assert_eq!(agents[4..], [0; 4]);
        assert_ne!(agents[..4], [0; 4]);
        let right =
            StoredTags { agents: Some(agents.clone()), jtis: Some(jtis.clone()), decisions: Some(decisions.clone()) };
        assert!(!right.are_contradicted_by(256, &rows));
        assert!(!StoredTags::default().are_contradicted_by(256, &rows));
        for place in 0..8 {
            let wrong = |mut bytes: Vec<u8>| {
                bytes[place] ^= 1;
                Some(bytes)
            };
            for wrong in [
                StoredTags { agents: wrong(agents.clone()), ..right.clone() },
                StoredTags { jtis: wrong(jtis.clone()), ..StoredTags::default() },
                StoredTags { decisions: wrong(decisions.clone()), ..StoredTags::default() },
            ] {
                assert!(wrong.are_contradicted_by(256, &rows), "{wrong:?}");
            }
        }
        assert!(StoredTags { agents: Some(Vec::new()), ..right }.are_contradicted_by(256, &rows));
    }

    #[test]
    fn a_name_never_has_the_tag_of_no_name() {
        assert_ne!(Tag::of_id(&[0; 16]), Tag::NONE);
        let mut id = [0; 16];
        id[..12].fill(5);
        assert_ne!(Tag::of_id(&id), Tag::NONE);
    }
}
