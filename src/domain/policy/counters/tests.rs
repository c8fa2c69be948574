use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn agent(n: u8) -> SpiffeId {
    format!("spiffe://atb.dev/agent/a{n}").parse().unwrap()
}

fn act(n: u8) -> ActionName {
    format!("erp.thing.act{n}").parse().unwrap()
}

fn workspace(n: u8) -> WorkspaceId {
    format!("team-{n}").parse().unwrap()
}

/// Who calls what: agents 0 and 1 share a workspace, agent 2 has its own.
type Who = (u8, u8);

fn workspace_of(who: Who) -> WorkspaceId {
    workspace(who.0 / 2)
}

/// Everything that happened, looked at call by call.
#[derive(Default)]
struct Naive {
    allowed: Vec<(Who, u64)>,
    in_flight: Vec<Who>,
}

impl Naive {
    fn count(&self, who: Who, now: u64) -> Counters {
        let counts = |same: &dyn Fn(Who) -> bool| {
            let within = |window: u64| {
                let recent = self.allowed.iter().filter(|(by, at)| same(*by) && at + window > now).count();
                (recent + self.in_flight.iter().filter(|by| same(**by)).count()) as u64
            };
            Windows { minute: within(MINUTE), hour: within(HOUR), day: within(DAY) }
        };
        Counters {
            agent: counts(&|by| by.0 == who.0),
            act: counts(&|by| by == who),
            workspace: counts(&|by| workspace_of(by) == workspace_of(who) && by.1 == who.1),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(Who),
    Confirm(usize),
    Release(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..2_u8).prop_map(Step::Reserve),
        3 => any::<usize>().prop_map(Step::Confirm),
        1 => any::<usize>().prop_map(Step::Release),
        2 => prop_oneof![0..3_u64, 30..70_u64, 1_000..4_000_u64, 40_000..90_000_u64].prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn the_counters_say_what_counting_every_call_says(steps in vec(step(), 1..200)) {
        let (mut counters, mut naive) = (CallCounters::default(), Naive::default());
        let (mut open, mut now): (Vec<(Who, CallSlot)>, u64) = (Vec::new(), 1_790_000_000);
        for step in steps {
            match step {
                Step::Wait(seconds) => now += seconds,
                Step::Reserve(who) => {
                    let (slot, told) = counters.reserve(&agent(who.0), &act(who.1), &workspace_of(who), now).unwrap();
                    prop_assert_eq!(told, naive.count(who, now));
                    naive.in_flight.push(who);
                    open.push((who, slot));
                }
                Step::Confirm(_) | Step::Release(_) if open.is_empty() => {}
                Step::Confirm(at) => {
                    let (who, slot) = open.remove(at % open.len());
                    counters.confirm(slot, now);
                    naive.in_flight.remove(naive.in_flight.iter().position(|by| *by == who).unwrap());
                    naive.allowed.push((who, now));
                }
                Step::Release(at) => {
                    let (who, slot) = open.remove(at % open.len());
                    counters.release(slot);
                    naive.in_flight.remove(naive.in_flight.iter().position(|by| *by == who).unwrap());
                }
            }
        }
    }

    /// Whatever the order in which calls arrive, are allowed or fail: no window of any length ever holds more than the
    /// limit that was held against the numbers.
    #[test]
    fn a_limit_is_never_exceeded(
        steps in vec(step(), 1..300), max in 1..4_u64, window in prop::sample::select(WINDOWS.to_vec()),
    ) {
        let (mut counters, mut admitted) = (CallCounters::default(), Vec::new());
        let (mut open, mut now): (Vec<CallSlot>, u64) = (Vec::new(), 1_790_000_000);
        for step in steps {
            match step {
                Step::Wait(seconds) => now += seconds / 20,
                Step::Reserve((_, of_act)) => {
                    let (slot, told) = counters.reserve(&agent(0), &act(of_act), &workspace(0), now).unwrap();
                    let seen = match window { MINUTE => told.agent.minute, HOUR => told.agent.hour, _ => told.agent.day };
                    if seen < max { open.push(slot) } else { counters.release(slot) }
                }
                Step::Confirm(_) | Step::Release(_) if open.is_empty() => {}
                Step::Confirm(at) => {
                    let index = at % open.len();
                    counters.confirm(open.remove(index), now);
                    admitted.push(now);
                }
                Step::Release(at) => {
                    let index = at % open.len();
                    counters.release(open.remove(index));
                }
            }
            let within = admitted.iter().filter(|at| **at + window > now).count() + open.len();
            prop_assert!(within as u64 <= max, "{within} in {window} seconds");
        }
    }

    /// Beyond the marks that are kept: never fewer than there were, exact for a minute, and late by no more than said.
    #[test]
    fn a_busy_counter_errs_to_the_safe_side_only(gaps in vec(0..240_u64, 600..900), after in 0..90_000_u64) {
        let mut marks = Marks::default();
        let (mut now, mut calls) = (1_790_000_000, Vec::new());
        for gap in gaps {
            now += gap;
            marks.add(now, 1);
            calls.push(now);
            prop_assert!(marks.marks.len() <= MAX_MARKS);
            prop_assert!(marks.marks.is_sorted_by(|a, b| a.at < b.at));
        }
        now += after;
        let within = |window: u64| calls.iter().filter(|at| **at + window > now).count() as u64;
        let told = marks.count(now);
        prop_assert_eq!(told.minute, within(MINUTE));
        prop_assert!((within(HOUR)..=within(HOUR + MINUTE)).contains(&told.hour), "{told:?}");
        prop_assert!((within(DAY)..=within(DAY + QUARTER)).contains(&told.day), "{told:?}");
    }
}

#[test]
fn a_call_counts_to_the_last_second_of_its_window_and_not_in_the_next() {
    let mut counters = CallCounters::default();
    let (slot, told) = counters.reserve(&agent(0), &act(0), &workspace(0), 1_000_000).unwrap();
    assert_eq!(told, Counters::default(), "the call itself is not counted");
    counters.confirm(slot, 1_000_000);
    for (later, expected) in
        [(59, [1, 1, 1]), (60, [0, 1, 1]), (3_599, [0, 1, 1]), (3_600, [0, 0, 1]), (86_400, [0; 3])]
    {
        let (slot, told) = counters.reserve(&agent(0), &act(0), &workspace(0), 1_000_000 + later).unwrap();
        counters.release(slot);
        assert_eq!([told.agent.minute, told.agent.hour, told.agent.day], expected, "{later}");
    }
}

#[test]
fn the_document_names_its_windows_in_seconds() {
    let told = serde_json::to_value(Counters::default()).unwrap();
    let windows = serde_json::json!({"60": 0, "3600": 0, "86400": 0});
    assert_eq!(told, serde_json::json!({"agent": windows, "act": windows, "workspace": windows}));
}

#[test]
fn denied_calls_take_no_room_and_a_full_house_refuses_rather_than_forgets() {
    let mut counters = CallCounters::default();
    let stranger = |n: usize| -> SpiffeId { format!("spiffe://atb.dev/agent/n{n}").parse().unwrap() };
    for n in 0..1_000 {
        let (slot, _) = counters.reserve(&stranger(n), &act(0), &workspace(0), 1_000_000).unwrap();
        counters.release(slot);
    }
    assert_eq!(counters.keys, 0);
    let mut taken = 0;
    while counters.restore(&stranger(taken), &act(0), &workspace(0), 1_000_000, 1).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, (MAX_KEYS - 1) / 2, "an agent and its act each, and the workspace's act");
    assert!(counters.reserve(&stranger(taken), &act(0), &workspace(0), 1_000_000).is_err());
    let known = counters.reserve(&stranger(0), &act(0), &workspace(0), 1_000_000);
    let (slot, told) = known.expect("who is counted already is counted on");
    assert_eq!((told.agent.day, told.workspace.day), (1, taken as u64), "nobody was forgotten");
    counters.release(slot);
    let next_day = counters.reserve(&stranger(taken), &act(0), &workspace(0), 1_000_000 + DAY);
    let (slot, told) = next_day.expect("what counts nothing any more makes room");
    assert_eq!((told, counters.keys), (Counters::default(), 3));
    counters.release(slot);
}
