//! Images on their way: none is asked for that is larger than the configuration allows, and what less is asked for is
//! noted.

use fusebox_rules::image::Measure;

use super::{plan::Seat, way::Way};
use crate::{
    chat::request::Operation,
    error::{Failure, FieldFault},
    telemetry::Door,
};

impl Way {
    /// Refuses a call for images of more than `max_output_pixels` each. A size that is left to the provider passes: it
    /// is not known here.
    ///
    /// # Errors
    /// The field of the caller's that says so, in the words of the door it came in by.
    pub(super) fn guard_image(&mut self) -> Result<(), Failure> {
        if self.call.request.operation != Operation::Image {
            return Ok(());
        }
        self.outcome.image = self.call.request.measure();
        let most = self.plan().config.validation.max_output_pixels;
        let Some(size) = self.outcome.image.size.filter(|size| size.pixels() > most) else { return Ok(()) };
        let path = match self.call.door {
            Door::Http => "size",
            Door::Grpc => "width",
        };
        let (width, height, pixels) = (size.width, size.height, size.pixels());
        let message = format!("must ask for at most {most} pixels in all, not {width}x{height}, which is {pixels}");
        Err(Failure::fields(vec![FieldFault { path: path.into(), message }]))
    }

    /// Asks for fewer steps at a lower degradation level. A call that sets no number of them is left alone.
    pub(super) fn fewer_steps(&mut self) {
        let Some(asked) = self.call.request.measure().steps else { return };
        let level = self.outcome.level;
        let fewer = u32::try_from(level.fewer(asked.into())).unwrap_or(asked);
        let Some(request) = self.call.request.with_steps(fewer).filter(|_| fewer < asked) else { return };
        self.call.request = request;
        self.limit(format!("load is high (level {}): {fewer} steps were asked for instead of {asked}", level.name()));
    }

    /// Notes what `seat`, which answered, was asked for; `less`: memory had run out there.
    pub(super) fn note_less(&mut self, seat: &Seat, less: bool) {
        let request = &self.call.request;
        let image = request.operation == Operation::Image;
        if image {
            let asked = less.then(|| request.for_less_image()).flatten();
            self.outcome.image = asked.as_ref().unwrap_or(request).measure();
        }
        if less {
            let what = if image { told(self.outcome.image) } else { "half the tokens".to_owned() };
            self.limit(format!("{} ran out of memory and was asked for {what}", seat.upstream.settings.name));
        }
    }
}

/// What is asked for, for people.
fn told(image: Measure) -> String {
    let size = image.size.map_or_else(String::new, |size| format!(" of {}x{}", size.width, size.height));
    let steps = image.steps.map_or_else(String::new, |steps| format!(" in {steps} steps"));
    format!("images{size}{steps}")
}
