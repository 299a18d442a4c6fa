//! The services' messages as JSON, by Protocol Buffers' canonical mapping, both ways.
//!
//! What a message may mean is not decided here: only whether it is one.

use std::{fmt, str::FromStr as _, sync::LazyLock};

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};
use serde_json::Value;

/// More faults of one document are not told.
const MAX_FAULTS: usize = 20;

/// A name this close to one that exists is taken for it, mistyped.
const CLOSE: f64 = 0.75;

static POOL: LazyLock<Result<DescriptorPool, String>> =
    LazyLock::new(|| DescriptorPool::decode(fusebox_proto::DESCRIPTORS).map_err(|error| error.to_string()));

/// Why a document is not the message that it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault {
    /// At least one, twenty at most.
    pub faults: Vec<FieldFault>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Its way from the top, such as `change.wait` or `checks[0].name`; empty: the document as a whole.
    pub field: String,
    /// A clause that says what is wrong with it.
    pub message: String,
}

impl JsonFault {
    fn whole(message: String) -> Self {
        Self::one(String::new(), message)
    }

    fn one(field: String, message: String) -> Self {
        Self { faults: vec![FieldFault { field, message }] }
    }
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            let semicolon = if at == 0 { "" } else { "; " };
            let colon = if fault.field.is_empty() { "" } else { ": " };
            write!(f, "{semicolon}{}{colon}{}", fault.field, fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for JsonFault {}

/// `message` as JSON. Fields that have no presence are written even where they are empty, so that who looks for
/// `"enabled": false` finds it; maps are in the order of their keys.
///
/// # Errors
/// The message is of no type of `fusebox_proto`.
pub fn to_json<M: Message + Name>(message: &M) -> Result<Value, JsonFault> {
    let descriptor = descriptor::<M>()?;
    let failed = |error: &dyn fmt::Display| JsonFault::whole(format!("{} is not to be written: {error}", M::NAME));
    let mut dynamic = DynamicMessage::new(descriptor.clone());
    dynamic.transcode_from(message).map_err(|error| failed(&error))?;
    let options = SerializeOptions::new().skip_default_fields(false);
    let written = dynamic.serialize_with_options(serde_json::value::Serializer, &options);
    let mut written = written.map_err(|error| failed(&error))?;
    settle(&mut written, &descriptor);
    Ok(written)
}

/// The same as text.
///
/// # Errors
/// As for [`to_json`].
pub fn to_bytes<M: Message + Name>(message: &M) -> Result<Vec<u8>, JsonFault> {
    serde_json::to_vec(&to_json(message)?).map_err(|error| JsonFault::whole(error.to_string()))
}

/// The message that `document` holds. Fields that it does not know are refused, as are names of enums' values.
///
/// # Errors
/// It is not JSON, or not of this message's shape: each field is named, with what would be right.
pub fn from_json<M: Message + Name + Default>(document: &[u8]) -> Result<M, JsonFault> {
    let descriptor = descriptor::<M>()?;
    let document: Value =
        serde_json::from_slice(document).map_err(|error| JsonFault::whole(format!("is not JSON: {error}")))?;
    if !document.is_object() {
        return Err(JsonFault::whole(format!("must be an object, a {}", M::NAME)));
    }
    let mut faults = Vec::new();
    inspect_message(&document, &descriptor, "", &mut faults);
    if !faults.is_empty() {
        return Err(JsonFault { faults });
    }
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(document, &mut track);
    let read = DynamicMessage::deserialize(descriptor, tracked);
    let read = read.map_err(|error| {
        let field = track.path().to_string();
        JsonFault::one(if field == "." { String::new() } else { field }, error.to_string())
    })?;
    read.transcode_to().map_err(|error| JsonFault::whole(format!("is no {}: {error}", M::NAME)))
}

/// How messages of type `M` are described.
///
/// # Errors
/// The type is none of `fusebox_proto`.
pub fn descriptor<M: Name>() -> Result<MessageDescriptor, JsonFault> {
    let pool = POOL.as_ref().map_err(|error| JsonFault::whole(error.clone()))?;
    let name = M::full_name();
    pool.get_message_by_name(&name).ok_or_else(|| JsonFault::whole(format!("nothing describes {name}")))
}

/// Every message and method, for whoever describes them to others.
///
/// # Errors
/// They cannot be read, which a test excludes.
pub fn pool() -> Result<&'static DescriptorPool, JsonFault> {
    POOL.as_ref().map_err(|error| JsonFault::whole(error.clone()))
}

/// Puts the entries of maps in order: a hash table has none.
fn settle(written: &mut Value, descriptor: &MessageDescriptor) {
    for field in descriptor.fields() {
        let Some(value) = written.get_mut(field.json_name()) else { continue };
        let Kind::Message(inner) = field.kind() else { continue };
        if field.is_map() {
            if let Some(entries) = value.as_object_mut() {
                entries.sort_keys();
            }
        } else if let Some(list) = value.as_array_mut() {
            list.iter_mut().for_each(|one| settle(one, &inner));
        } else {
            settle(value, &inner);
        }
    }
}

/// Finds what the deserializer would find, but all of it, and says what would be right.
fn inspect_message(value: &Value, descriptor: &MessageDescriptor, path: &str, faults: &mut Vec<FieldFault>) {
    // What is of the wrong type altogether, the deserializer names.
    let Some(entries) = value.as_object() else { return };
    for (name, value) in entries {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let field = descriptor.get_field_by_json_name(name).or_else(|| descriptor.get_field_by_name(name));
        match field {
            Some(field) => inspect_field(value, &field, &path, faults),
            None => tell(faults, path, unknown(name, descriptor)),
        }
    }
}

fn inspect_field(value: &Value, field: &FieldDescriptor, path: &str, faults: &mut Vec<FieldFault>) {
    if field.is_map() {
        // No request has one; what is wrong with it, the deserializer says.
    } else if let (true, Some(list)) = (field.is_list(), value.as_array()) {
        for (at, one) in list.iter().enumerate() {
            inspect_one(one, &field.kind(), &format!("{path}[{at}]"), faults);
        }
    } else {
        inspect_one(value, &field.kind(), path, faults);
    }
}

fn inspect_one(value: &Value, kind: &Kind, path: &str, faults: &mut Vec<FieldFault>) {
    match kind {
        Kind::Message(message) if message.full_name() == "google.protobuf.Duration" && !is_duration(value) => {
            let right = "must be a number of seconds with an s, such as \"30s\" or \"0.5s\"";
            tell(faults, path.to_owned(), format!("{right}, not {}", shown(value)));
        }
        Kind::Message(message) if message.package_name() != "google.protobuf" => {
            inspect_message(value, message, path, faults);
        }
        Kind::Enum(values) => {
            if let Some(fault) = value.as_str().and_then(|name| not_among(name, values)) {
                tell(faults, path.to_owned(), fault);
            }
        }
        _ => {}
    }
}

/// Whether `value` is a duration, or stands for none.
fn is_duration(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| prost_types::Duration::from_str(text).is_ok())
}

fn not_among(name: &str, values: &EnumDescriptor) -> Option<String> {
    if values.get_value_by_name(name).is_some() {
        return None;
    }
    let names: Vec<String> = values.values().map(|value| value.name().to_owned()).collect();
    Some(format!("must be one of {}, not {}", names.join(", "), shown(&Value::from(name))))
}

fn unknown(name: &str, descriptor: &MessageDescriptor) -> String {
    let known: Vec<String> = descriptor.fields().map(|field| field.json_name().to_owned()).collect();
    let near = known
        .iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(near, _)| *near > CLOSE);
    match near {
        Some((_, known)) => format!("is no field of {}; did you mean {known}?", descriptor.name()),
        None if known.is_empty() => format!("is no field of {}, which has none", descriptor.name()),
        None => format!("is no field of {}; they are {}", descriptor.name(), known.join(", ")),
    }
}

/// Enough of `value` to know it again.
fn shown(value: &Value) -> String {
    const ENOUGH: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn tell(faults: &mut Vec<FieldFault>, field: String, message: String) {
    if faults.len() < MAX_FAULTS {
        faults.push(FieldFault { field: shorten(field), message });
    }
}

/// A field's way is the caller's own text, and may be as long as a document.
fn shorten(field: String) -> String {
    const LONGEST: usize = 200;
    match field.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &field[..end]),
        None => field,
    }
}

#[cfg(test)]
mod tests {
    use fusebox_proto::v1::{
        BreakerMode, ChangeOptions, Fleet, HealthStatus, Load, Provider, SetBreakerRequest, SetProviderRequest,
        Sidecar, Totals,
    };
    use proptest::prelude::*;
    use prost_types::{Duration, Timestamp};
    use serde_json::json;

    use super::*;

    fn faults<M: Message + Name + Default + fmt::Debug>(document: &Value) -> String {
        from_json::<M>(document.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_message_is_written_as_the_mapping_says() {
        let fleet = Fleet {
            name: "north".into(),
            at: Some(Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 }),
            health: HealthStatus::Critical.into(),
            settings_version: u64::MAX,
            providers: vec![Provider { name: "vllm".into(), ..Provider::default() }],
            sidecars: vec![Sidecar { load: Some(Load { gpu: Some(0.0), ..Load::default() }), ..Sidecar::default() }],
            totals: Some(Totals {
                answers: [("static", 1), ("cache", 2), ("provider", 3), ("fallback", 4)]
                    .map(|(source, count)| (source.to_owned(), count))
                    .into(),
                ..Totals::default()
            }),
            ..Fleet::default()
        };
        let written = to_json(&fleet).unwrap();
        assert_eq!(written["at"], "2023-11-14T22:13:20.500Z");
        assert_eq!(written["health"], "HEALTH_STATUS_CRITICAL");
        assert_eq!(written["settingsVersion"], "18446744073709551615");
        assert_eq!(written["providers"][0]["enabled"], false, "written though it is empty");
        assert_eq!(written["providers"][0].get("breaker"), None, "a message that is absent stays absent");
        assert_eq!(written["sidecars"][0]["load"], json!({"gpu": 0.0}), "what was measured, and no more");
        let answers = written["totals"]["answers"].to_string();
        assert_eq!(answers, r#"{"cache":"2","fallback":"4","provider":"3","static":"1"}"#);
        assert_eq!(from_json::<Fleet>(written.to_string().as_bytes()), Ok(fleet));
    }

    #[test]
    fn a_request_is_read_in_either_spelling() {
        let right = SetProviderRequest {
            name: "vllm".into(),
            enabled: Some(false),
            reason: "why".into(),
            expires_after: Some(Duration { seconds: 7200, nanos: 0 }),
            change: Some(ChangeOptions { expected_version: 7, ..ChangeOptions::default() }),
            ..SetProviderRequest::default()
        };
        for document in [
            json!({"name": "vllm", "enabled": false, "reason": "why", "expiresAfter": "7200s",
                "change": {"expectedVersion": "7", "wait": null}}),
            json!({"name": "vllm", "enabled": false, "reason": "why", "expires_after": "7200s",
                "change": {"expected_version": 7}}),
        ] {
            assert_eq!(from_json::<SetProviderRequest>(document.to_string().as_bytes()), Ok(right.clone()));
        }
        let read = from_json::<SetBreakerRequest>(br#"{"mode": "BREAKER_MODE_FORCED_OPEN"}"#).unwrap();
        assert_eq!(read.mode(), BreakerMode::ForcedOpen);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_with_what_would_be_right() {
        for (document, right) in [
            (json!({"enable": true}), "enable: is no field of SetProviderRequest; did you mean enabled?"),
            (
                json!({"change": {"zzz": 1}, "expiresAfter": "2h"}),
                "change.zzz: is no field of ChangeOptions; they are dryRun, expectedVersion, wait, force; \
                 expiresAfter: must be a number of seconds with an s, such as \"30s\" or \"0.5s\", not \"2h\"",
            ),
            (json!({"enabled": "yes"}), "enabled: invalid type: string \"yes\", expected a boolean"),
            (json!({"change": {"dryRun": 1}}), "change.dryRun: invalid type: integer `1`, expected a boolean"),
            (json!({"priority": -1}), "priority: out of range integral type conversion attempted"),
            (json!({"change": []}), "change: invalid type: sequence, expected a map"),
            (json!([]), "must be an object, a SetProviderRequest"),
        ] {
            assert_eq!(faults::<SetProviderRequest>(&document), right, "{document}");
        }
        assert_eq!(
            faults::<SetBreakerRequest>(&json!({"mode": "OPEN"})),
            "mode: must be one of BREAKER_MODE_UNSPECIFIED, BREAKER_MODE_AUTO, BREAKER_MODE_FORCED_OPEN, \
             BREAKER_MODE_FORCED_CLOSED, not \"OPEN\""
        );
        let cut = from_json::<SetProviderRequest>(b"{\"name\": ").unwrap_err().to_string();
        assert!(cut.starts_with("is not JSON: EOF while parsing"), "{cut}");
    }

    #[test]
    fn a_document_full_of_faults_is_answered_in_few_words() {
        let keys = (0..1000).map(|at| (format!("{at}{}", "x".repeat(1000)), Value::Null)).collect();
        let fault = from_json::<SetProviderRequest>(Value::Object(keys).to_string().as_bytes()).unwrap_err();
        assert_eq!(fault.faults.len(), MAX_FAULTS);
        assert!(fault.faults.iter().all(|one| one.field.chars().count() == 201), "{fault}");
    }

    /// Any JSON, of names and values that requests have and of others.
    fn documents() -> impl Strategy<Value = Value> {
        let names = ["name", "enabled", "priority", "reason", "expiresAfter", "change", "wait", "dryRun", "x", ""];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}|-?[0-9.]{1,25}s".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((proptest::sample::select(names.to_vec()), inner), 0..5).prop_map(
                    |entries| Value::Object(
                        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                    )
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic_and_what_is_read_is_read_again(document in documents()) {
            if let Ok(read) = from_json::<SetProviderRequest>(document.to_string().as_bytes()) {
                let written = to_json(&read).unwrap();
                prop_assert_eq!(from_json::<SetProviderRequest>(written.to_string().as_bytes()), Ok(read));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = from_json::<SetProviderRequest>(&bytes);
        }
    }
}
