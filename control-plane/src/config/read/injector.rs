//! From what was typed under `injector` to what was meant.

use std::sync::Arc;

use fusebox_base::config::Section;

use super::{Listen, Tls};
use crate::{
    config::Injector,
    inject::{OnError, Template},
};

/// The whole group, beside the other doors.
pub(super) fn read(at: &mut Section<'_>, listen: &Listen) -> Option<Injector> {
    let injector = at.section("injector", group)?;
    for (other, address) in [("grpc", listen.grpc), ("http", listen.http)] {
        if injector.listen == address && address.port() != 0 {
            let message = format!("{address} is also listen.{other}; each needs a port of its own");
            at.fault_in("injector", "listen", message);
        }
    }
    Some(injector)
}

/// The group by itself. Its faults are told of even while it is off.
fn group(at: &mut Section<'_>) -> Option<Injector> {
    let doc = "where the admission webhook is served, such as 0.0.0.0:9443; null: nobody is injected";
    let listen = at.key("listen", doc).optional_address();
    let tls = at.optional_section("tls", "the certificate to serve it with; needed where it is served", Tls::read);
    let doc = "what is injected, a file of its own; needed where the webhook is served";
    let file = at.key("template_file", doc).optional_file();
    let template = file.and_then(|file| match Template::read(&file) {
        Ok(template) => Some((Arc::new(template), file)),
        Err(faults) => {
            faults.into_iter().for_each(|fault| at.fault("template_file", format!("in it, {fault}")));
            None
        }
    });
    let doc = "what to do with a pod that should be injected and cannot be: admit (as it is, with a warning), deny";
    let on_error = at.key("on_error", doc).word(OnError::Admit, &OnError::WORDS);
    let listen = listen?;
    for (key, why) in [("tls", "an API server speaks nothing but TLS"), ("template_file", "there is nothing to inject")]
    {
        if !at.typed(key) {
            at.fault(key, format!("is missing, and {why}; set it, or leave out injector.listen"));
        }
    }
    let (template, template_file) = template?;
    Some(Injector { listen, tls: tls?, template, template_file, on_error })
}
