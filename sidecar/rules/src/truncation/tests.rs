use proptest::prelude::*;

use super::*;

fn turn(speaker: Speaker, tokens: u64) -> Turn<'static> {
    Turn { speaker, tokens, calls: Vec::new(), answers: None }
}

fn system(tokens: u64) -> Turn<'static> {
    turn(Speaker::System, tokens)
}

fn user(tokens: u64) -> Turn<'static> {
    turn(Speaker::User, tokens)
}

fn model(tokens: u64) -> Turn<'static> {
    turn(Speaker::Assistant, tokens)
}

fn calls<'a>(ids: &[&'a str]) -> Turn<'a> {
    Turn { calls: ids.to_vec(), ..model(10) }
}

fn answers(id: &str) -> Turn<'_> {
    Turn { answers: Some(id), ..turn(Speaker::Tool, 10) }
}

#[test]
fn the_oldest_exchanges_go_first_and_no_more_than_need_to() {
    let turns = [system(5), user(10), model(10), user(10), model(10), user(10)];
    assert_eq!(decide(&turns, 55), Verdict::Fits);
    assert_eq!(decide(&turns, 54), Verdict::Keep(vec![0, 3, 4, 5]));
    assert_eq!(decide(&turns, 34), Verdict::Keep(vec![0, 5]));
    assert_eq!(decide(&turns, 14), Verdict::Impossible { needed: 15 });
}

#[test]
fn a_system_turn_in_the_middle_stays_where_it_is() {
    let turns = [user(10), system(5), model(10), user(10)];
    assert_eq!(decide(&turns, 20), Verdict::Keep(vec![1, 3]));
}

#[test]
fn a_model_at_work_loses_its_oldest_calls_together_with_their_answers() {
    let turns = [user(10), calls(&["a", "b"]), answers("a"), answers("b"), calls(&["c"]), answers("c")];
    assert_eq!(decide(&turns, 59), Verdict::Keep(vec![0, 4, 5]));
    // What the model is to go on from stays.
    assert_eq!(decide(&turns, 29), Verdict::Impossible { needed: 30 });
}

#[test]
fn an_answer_that_comes_late_goes_with_its_call() {
    let turns = [user(10), calls(&["a"]), user(10), answers("a"), user(10), model(10), user(10)];
    assert_eq!(decide(&turns, 69), Verdict::Keep(vec![4, 5, 6]));
    let unanswered = [user(10), calls(&["a"]), user(10), answers("a")];
    assert_eq!(decide(&unanswered, 39), Verdict::Impossible { needed: 40 });
}

#[test]
fn an_id_that_is_used_anew_belongs_to_the_nearest_call() {
    let turns = [user(10), calls(&["0"]), answers("0"), user(10), calls(&["0"]), answers("0"), user(10)];
    assert_eq!(decide(&turns, 69), Verdict::Keep(vec![3, 4, 5, 6]));
}

#[test]
fn a_conversation_without_a_user_keeps_its_last_turn() {
    assert_eq!(decide(&[model(10), model(10), model(10)], 10), Verdict::Keep(vec![2]));
    assert_eq!(decide(&[], 0), Verdict::Fits);
    assert_eq!(decide(&[system(10)], 9), Verdict::Impossible { needed: 10 });
}

/// Conversations as they come and as they should not.
fn conversation() -> impl Strategy<Value = Vec<Turn<'static>>> {
    const IDS: [&str; 4] = ["a", "b", "c", "d"];
    let ids = prop::collection::vec(prop::sample::select(&IDS[..]), 0..3);
    let one =
        (0_u8..8, 0_u64..50, ids, prop::sample::select(&IDS[..])).prop_map(|(kind, tokens, ids, id)| match kind {
            0 => system(tokens),
            1 | 2 => user(tokens),
            3 => model(tokens),
            4 | 5 => Turn { calls: ids, ..model(tokens) },
            _ => Turn { answers: Some(id), ..turn(Speaker::Tool, tokens) },
        });
    prop::collection::vec(one, 0..24)
}

/// The call that each answer is to, as its readers understand it: the nearest before it.
fn caller(turns: &[Turn<'_>], at: usize) -> Option<usize> {
    let id = turns[at].answers?;
    (0..at).rev().find(|before| turns[*before].calls.contains(&id))
}

fn sum(turns: &[Turn<'_>], kept: &[usize]) -> u64 {
    kept.iter().map(|at| turns[*at].tokens).sum()
}

proptest! {
    #[test]
    fn what_is_kept_fits_and_what_must_stay_stays(turns in conversation(), room in 0_u64..600) {
        let all: Vec<usize> = (0..turns.len()).collect();
        match decide(&turns, room) {
            Verdict::Fits => prop_assert!(sum(&turns, &all) <= room),
            Verdict::Keep(kept) => {
                prop_assert!(sum(&turns, &kept) <= room);
                prop_assert!(kept.len() < turns.len());
                prop_assert!(kept.is_sorted());
                for (at, turn) in turns.iter().enumerate() {
                    if turn.speaker == Speaker::System {
                        prop_assert!(kept.contains(&at));
                    }
                }
                let last_of_user = turns.iter().rposition(|turn| turn.speaker == Speaker::User);
                for at in last_of_user.into_iter().chain(turns.len().checked_sub(1)) {
                    prop_assert!(kept.contains(&at));
                }
            }
            Verdict::Impossible { needed } => prop_assert!(needed > room && needed <= sum(&turns, &all)),
        }
    }

    #[test]
    fn calls_and_their_answers_stay_or_go_together(turns in conversation(), room in 0_u64..600) {
        if let Verdict::Keep(kept) = decide(&turns, room) {
            for at in 0..turns.len() {
                if let Some(caller) = caller(&turns, at) {
                    prop_assert_eq!(kept.contains(&at), kept.contains(&caller), "{} answers {}", at, caller);
                }
            }
        }
    }

    #[test]
    fn what_was_made_to_fit_fits(turns in conversation(), room in 0_u64..600) {
        if let Verdict::Keep(kept) = decide(&turns, room) {
            let rest: Vec<_> = kept.iter().map(|at| turns[*at].clone()).collect();
            prop_assert_eq!(decide(&rest, room), Verdict::Fits);
        }
    }

    #[test]
    fn more_room_never_leaves_out_more(turns in conversation(), room in 0_u64..600, more in 0_u64..100) {
        let kept = |room| match decide(&turns, room) {
            Verdict::Fits => turns.len(),
            Verdict::Keep(kept) => kept.len(),
            Verdict::Impossible { .. } => 0,
        };
        prop_assert!(kept(room) <= kept(room + more));
    }
}
