//! Every kind of event happens for real: which test makes it, and that this test is there. What an event must hold is in
//! `schemas/ledger-entry.schema.json`; `schemas.rs` holds the kinds there against the ones here.

use atb::domain::ledger::EventType;

use super::named_tests::{has_test, text_of};

/// A kind, the file below `tests/it/` and the test in it that makes it happen through the running service.
const MADE: [(EventType, &str, &str); 30] = {
    use EventType::*;
    [
        (PoaIssued, "identity/jwt_svid.rs", "a_workload_behind_a_named_proxy_is_itself_at_both_doors"),
        (PoaIssuedDualControl, "approve/parallel.rs", "a_hundred_redemptions_at_once_give_one_mandate"),
        (
            PoaChallengeCreated,
            "issue/named.rs",
            "statements_over_a_challenge_id_that_was_agreed_on_beforehand_give_a_mandate_at_once",
        ),
        (
            PoaApprovalRecorded,
            "approve/parallel.rs",
            "many_people_at_once_are_counted_once_each_and_no_more_than_it_takes",
        ),
        (PoaApprovalRefused, "events.rs", "every_refusal_writes_exactly_one_event"),
        (PoaChallengeRejected, "approve/ends.rs", "a_no_ends_it_for_everybody"),
        (
            PoaChallengeExpired,
            "approve/ends.rs",
            "a_challenge_that_ran_out_of_time_expires_once_and_takes_nothing_more",
        ),
        (PoaChallengeWithdrawn, "life/withdraw.rs", "what_its_agent_took_back_yields_nothing_whoever_has_agreed"),
        (PoaDenied, "events.rs", "every_refusal_writes_exactly_one_event"),
        (PoaSingleUseReplayBlocked, "events.rs", "every_refusal_writes_exactly_one_event"),
        (BrokerDecision, "events.rs", "every_refusal_writes_exactly_one_event"),
        (ConnectorOutcome, "enforce/upstream.rs", "an_answer_its_decision_and_its_outcome_carry_one_id"),
        (
            PolicyQueried,
            "policy_tool/data_api.rs",
            "a_rule_is_answered_as_opa_answers_it_and_the_question_is_on_record",
        ),
        (PolicyActivated, "reload/folder.rs", "an_edited_limit_decides_the_next_calls_and_none_is_lost_in_between"),
        (PolicyRefused, "reload/refused.rs", "a_bundle_with_a_defect_is_refused_whole_once_and_what_is_in_force_stays"),
        (ConnectorsActivated, "connectors/live.rs", "wrong_files_change_nothing_and_are_on_record_once"),
        (ConnectorsRefused, "connectors/live.rs", "wrong_files_change_nothing_and_are_on_record_once"),
        (NotificationDead, "notify.rs", "a_dead_endpoint_is_given_up_with_an_event_and_delays_nobody"),
        (AuthenticationFailed, "federation.rs", "a_merely_federated_agent_is_not_let_in"),
        (
            RequestsThrottled,
            "doors/shares.rs",
            "an_agent_that_floods_is_refused_beyond_its_share_and_everybody_else_is_served",
        ),
        (AuditRead, "audit_query/door.rs", "a_reading_is_on_record_once_before_its_first_page_whatever_pages_follow"),
        (LegWithdrawn, "leg/withdrawal.rs", "a_withdrawal_is_final_listed_and_on_record_once"),
        (
            SinkLagging,
            "shipping/behind.rs",
            "a_dead_sink_lets_decisions_go_on_until_its_bound_and_then_refuses_them_until_it_is_back",
        ),
        (
            SinkCaughtUp,
            "shipping/behind.rs",
            "a_dead_sink_lets_decisions_go_on_until_its_bound_and_then_refuses_them_until_it_is_back",
        ),
        (
            LedgerArchived,
            "backup.rs",
            "sealed_blocks_are_archived_read_back_and_only_then_and_only_beyond_the_limit_deleted",
        ),
        (OpeningsErased, "erase.rs", "one_case_is_erased_on_record_and_nothing_else_changes"),
        (
            IdentityRotated,
            "identity_files.rs",
            "files_that_are_replaced_are_used_once_they_fit_together_and_never_by_half",
        ),
        (IdentityStale, "identity_files.rs", "a_bundle_that_is_gone_is_believed_until_it_is_too_old"),
        (ServiceStarted, "faults.rs", "a_challenge_continues_where_it_was_after_a_crash_between_any_two_steps"),
        (ServiceStopped, "faults.rs", "a_shutdown_under_load_answers_every_call_that_it_made"),
    ]
};

#[test]
fn every_kind_of_event_has_a_test_that_makes_it_happen() {
    let kinds: Vec<_> = MADE.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, EventType::ALL, "one row a kind, in the order of the kinds");
    for (kind, file, name) in MADE {
        let text = text_of(&format!("tests/it/{file}"));
        assert!(has_test(&text, name), "{file} has no test `{name}`");
        let variant = format!("{kind:?}");
        let named = text.contains(&variant) || text.contains(&format!("\"{}\"", kind.as_str()));
        assert!(named, "{file} does not look for {variant}");
    }
}
