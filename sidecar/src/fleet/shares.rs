//! What a provider allows the fleet, and the retries that its calls have paid for, leased ahead of need: what is asked
//! for goes out, and what is granted is laid into gates. How much that is the rules say.

use std::sync::Arc;

use fusebox_rules::fleet::{
    bucket::{Ask, Terms, Unit},
    pace,
    share::Leased,
};
use fusebox_store::{StoreError, share::Draw};
use futures_util::future::join_all;

use super::{Fleet, Member, jittered, until};
use crate::clock;

impl Fleet {
    /// Leases, again and again. Does not end.
    pub(super) async fn share_out(self: Arc<Self>, members: Vec<Member>) {
        if members.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let began = clock::now();
            // They share one connection, so that all of them are one round trip.
            join_all(members.iter().flat_map(|member| Unit::ALL.map(|unit| self.draw(member, unit)))).await;
            if self.is_connected() {
                let live = self.live();
                tokio::select! {
                    () = self.bells.need.notified() => {}
                    () = until(began + jittered(pace::draw(live))) => {}
                }
                until(began + jittered(pace::short(live))).await;
            } else {
                // Those that had nothing to ask have not found out.
                for (member, unit) in members.iter().flat_map(|member| Unit::ALL.map(|unit| (member, unit))) {
                    member.gate.with_leased(unit, |leased| leased.lost());
                }
                until(began + jittered(pace::IDLE)).await;
            }
        }
    }

    /// Asks for one provider's `unit`, if there is anything to ask.
    async fn draw(&self, member: &Member, unit: Unit) {
        let (gate, live, sent) = (&member.gate, self.live(), clock::now());
        let asked = |leased: &mut dyn Leased| leased.ask(live, sent).map(|ask| (*leased.terms(), ask));
        let Some((terms, ask)): Option<(Terms, Ask)> = gate.with_leased(unit, asked).flatten() else { return };
        let answer = self.ask(&Draw { provider: &member.settings.name, unit, terms, ask }).await;
        gate.with_leased(unit, |leased| match answer {
            Ok((_, drawn)) => leased.hear(&ask, &drawn, sent, clock::now()),
            Err(error) => {
                leased.lost();
                // What may have been done is not to be done twice: to use less is safe, to use more is not.
                if matches!(error, StoreError::Unavailable { may_have_run: false, .. }) {
                    leased.untold(&ask);
                }
            }
        });
    }
}
