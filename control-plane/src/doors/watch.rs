//! Who watches: pictures of the fleet as they are painted, and what becomes of alerts, for as long as somebody looks.

use std::sync::Arc;

use fusebox_proto::v1;
use fusebox_store::alerts::Events;
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;

use crate::{
    control::{Control, Place},
    picture::Picture,
};

/// Events of alerts in one request.
const PAGE: u32 = 100;

/// The fleet now, then again whenever it was painted anew. Who is slow sees fewer.
pub(super) fn pictures<T: Send>(
    mut pictures: watch::Receiver<Arc<Picture>>,
    place: Place,
    tell: impl Fn(&Picture) -> T + Send,
) -> impl Stream<Item = T> + Send {
    // The last one counts as news.
    pictures.mark_changed();
    stream::unfold((pictures, place, tell), |(mut pictures, place, tell)| async move {
        tokio::select! {
            changed = pictures.changed() => changed.ok()?,
            () = place.ended() => return None,
        }
        let told = tell(&pictures.borrow_and_update().clone());
        Some((told, (pictures, place, tell)))
    })
}

/// What becomes of alerts from now on: each time one is raised, acknowledged or resolved.
pub(super) fn alerts<T: Send>(
    control: Arc<Control>,
    place: Place,
    tell: impl Fn(v1::Alert) -> T + Send,
) -> impl Stream<Item = T> + Send {
    let after = control.fleet().seen.at.as_millis();
    let state = (control, place, tell, after, Vec::<v1::Alert>::new());
    stream::unfold(state, |(control, place, tell, mut after, mut told)| async move {
        let mut pictures = control.reader().follow();
        while told.is_empty() {
            match control.reader().ask(&Events { after, most: PAGE }).await {
                Ok((_, events)) if !events.is_empty() => {
                    after = events.last().map_or(after, |event| event.number);
                    let seen = Arc::clone(&control.fleet().seen);
                    // The last is told first: from its end a list gives things away at no cost.
                    told = events.iter().rev().map(|event| control.alert(&event.alert, &seen)).collect();
                }
                // Nothing new, or no store: look again when the fleet was looked at again.
                _ => tokio::select! {
                    changed = pictures.changed() => changed.ok()?,
                    () = place.ended() => return None,
                },
            }
        }
        let one = tell(told.pop()?);
        Some((one, (control, place, tell, after, told)))
    })
}
