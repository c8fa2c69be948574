//! Who may come for what: the list of each place behind the doors.
//!
//! A list names trust domains and identities ([`Admitted`]). Where the operator writes none, it is everybody of our own
//! trust domain. A federated domain is on no list by itself: to verify its SVIDs is not to let them in. Being admitted is
//! not being allowed: the policy, the directories and the roles of each use case still decide.

use std::collections::{BTreeMap, BTreeSet};

use super::refusal::{Code, Refusal};
use crate::domain::spiffe::{Admitted, SpiffeId, TrustDomain};

/// What somebody comes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Asking for mandates.
    Issue,
    /// Calls through the broker.
    Call,
    /// Seeing challenges, approving and rejecting.
    Approve,
    /// Asking for decisions without a call through us.
    Decide,
    /// What changes what is in force.
    Administer,
    /// Reading the record.
    Audit,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 6] = [Self::Issue, Self::Call, Self::Approve, Self::Decide, Self::Administer, Self::Audit];

    /// The name, as in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Call => "call",
            Self::Approve => "approve",
            Self::Decide => "decide",
            Self::Administer => "administer",
            Self::Audit => "audit",
        }
    }

    /// The reason of a refusal.
    pub fn refused(self) -> &'static str {
        match self {
            Self::Issue => "not_admitted_to_issue",
            Self::Call => "not_admitted_to_call",
            Self::Approve => "not_admitted_to_approve",
            Self::Decide => "not_admitted_to_decide",
            Self::Administer => "not_admitted_to_administer",
            Self::Audit => "not_admitted_to_audit",
        }
    }
}

/// The lists.
#[derive(Debug, Clone)]
pub struct Access {
    own: TrustDomain,
    lists: BTreeMap<Place, Vec<Admitted>>,
}

impl Access {
    /// `lists` are those that the operator wrote; an empty one admits nobody.
    pub fn new(own: TrustDomain, lists: BTreeMap<Place, Vec<Admitted>>) -> Self {
        Self { own, lists }
    }

    /// Whether `caller` may come to `place`.
    ///
    /// # Errors
    /// A refusal, to be recorded by the door.
    pub fn admit(&self, place: Place, caller: &SpiffeId) -> Result<(), Refusal> {
        if self.admits(place, caller) {
            return Ok(());
        }
        let detail = format!("you are not on the list of who may come here (`access.{}`)", place.as_str());
        Err(Refusal::because(Code::CallerNotAllowed, place.refused(), detail))
    }

    /// Whether `caller` may come to any place: for what every caller may read.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub fn admit_anywhere(&self, caller: &SpiffeId) -> Result<(), Refusal> {
        if Place::ALL.iter().any(|place| self.admits(*place, caller)) {
            return Ok(());
        }
        let detail = "you are on no list of who may come here (`access`)";
        Err(Refusal::because(Code::CallerNotAllowed, "not_admitted", detail))
    }

    fn admits(&self, place: Place, caller: &SpiffeId) -> bool {
        match self.lists.get(&place) {
            Some(list) => list.iter().any(|admitted| admitted.matches(caller)),
            None => caller.trust_domain_name() == self.own.as_str(),
        }
    }

    /// The trust domains, besides ours, that a list names.
    pub fn domains(&self, places: &[Place]) -> BTreeSet<TrustDomain> {
        let lists = places.iter().filter_map(|place| self.lists.get(place)).flatten();
        lists.filter_map(|admitted| admitted.trust_domain_name().parse().ok()).filter(|one| *one != self.own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(lists: &[(Place, &[&str])]) -> Access {
        let list = |entries: &[&str]| entries.iter().map(|entry| entry.parse().unwrap()).collect();
        Access::new("a.b".parse().unwrap(), lists.iter().map(|(place, entries)| (*place, list(entries))).collect())
    }

    #[test]
    fn without_a_list_our_own_domain_may_come_and_no_other() {
        let access = access(&[]);
        for place in Place::ALL {
            assert!(access.admit(place, &"spiffe://a.b/x".parse().unwrap()).is_ok());
            let refusal = access.admit(place, &"spiffe://other.b/x".parse().unwrap()).unwrap_err();
            assert_eq!((refusal.code, refusal.reason.as_str()), (Code::CallerNotAllowed, place.refused()));
        }
        assert!(access.domains(&Place::ALL).is_empty());
    }

    #[test]
    fn a_list_is_whole_and_opens_its_own_place_only() {
        let access = access(&[(Place::Issue, &["spiffe://p.q/agent/*"]), (Place::Audit, &[])]);
        let (ours, theirs) = ("spiffe://a.b/agent/x".parse().unwrap(), "spiffe://p.q/agent/x".parse().unwrap());
        assert!(access.admit(Place::Issue, &theirs).is_ok());
        assert!(access.admit(Place::Issue, &ours).is_err());
        assert!(access.admit(Place::Call, &theirs).is_err());
        assert!(access.admit(Place::Audit, &ours).is_err());
        assert!(access.admit_anywhere(&theirs).is_ok());
        assert!(access.admit_anywhere(&"spiffe://p.q/other".parse().unwrap()).is_err());
        assert_eq!(access.domains(&Place::ALL), ["p.q".parse().unwrap()].into());
        assert!(access.domains(&[Place::Approve]).is_empty());
    }
}
