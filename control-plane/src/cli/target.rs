//! Which control plane is meant, and how it is to be called: from what was typed, the environment and the contexts.

use std::path::PathBuf;

use fusebox_base::config::{Secret, read_file};

use super::{
    args::Global,
    contexts::{Context, Contexts, MAX_BYTES, Variables},
    exit::Failure,
};

/// Where a control plane listens if nobody says.
const DEFAULT_ADDRESS: &str = "127.0.0.1:50052";

/// A setting, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) by: String,
}

/// Where the bearer token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenFrom {
    File(PathBuf),
    Here(Secret),
}

/// What a command uses, before any file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The context, if one is used.
    pub(crate) context: Option<String>,
    pub(crate) address: Said<String>,
    pub(crate) ca: Option<Said<PathBuf>>,
    pub(crate) cert: Option<Said<PathBuf>>,
    pub(crate) key: Option<Said<PathBuf>>,
    pub(crate) server_name: Option<Said<String>>,
    pub(crate) token: Option<Said<TokenFrom>>,
    /// The fleet that must answer.
    pub(crate) fleet: Option<Said<String>>,
}

/// A control plane as it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// With its scheme.
    pub(crate) uri: String,
    pub(crate) tls: bool,
    /// PEM; absent: the authorities that this machine trusts.
    pub(crate) ca: Option<String>,
    /// A certificate and its key, in PEM.
    pub(crate) identity: Option<(String, String)>,
    pub(crate) server_name: Option<String>,
    pub(crate) token: Option<Secret>,
    pub(crate) fleet: Option<String>,
}

/// One source of settings.
struct Layer {
    by: String,
    context: Context,
}

impl Settings {
    /// What is typed comes first, then the environment, then the current context. A context is the one's that named it.
    ///
    /// # Errors
    /// A context that is named is not there.
    pub(crate) fn resolve(global: &Global, variables: Variables<'_>, contexts: &Contexts) -> Result<Self, Failure> {
        let typed = Layer {
            by: "typed".into(),
            context: Context {
                address: global.address.clone(),
                ca: global.ca.clone(),
                cert: global.cert.clone(),
                key: global.key.clone(),
                server_name: global.server_name.clone(),
                token_file: global.token_file.clone(),
                ..Context::default()
            },
        };
        let environment = from_environment(variables)?;
        let chosen = |name: &str| -> Result<Layer, Failure> {
            Ok(Layer { by: format!("context {name}"), context: contexts.named(name)?.clone() })
        };
        let address_alone = typed.context.address.is_some() || environment.context.address.is_some();
        let (layers, context) = match (&global.context, variables("FUSEBOX_CONTEXT"), &contexts.current) {
            (Some(name), _, _) => (vec![typed, chosen(name)?, environment], Some(name.clone())),
            (None, Some(name), _) if global.address.is_none() => (vec![typed, environment, chosen(&name)?], Some(name)),
            // A token goes to whom it was given for, not to whatever address somebody types.
            (None, None, Some(name)) if !address_alone => (vec![typed, environment, chosen(name)?], Some(name.clone())),
            _ => (vec![typed, environment], None),
        };
        let default = Said { value: DEFAULT_ADDRESS.to_owned(), by: "default".to_owned() };
        Ok(Self {
            context,
            address: first(&layers, |context| context.address.clone()).unwrap_or(default),
            ca: first(&layers, |context| context.ca.clone()),
            cert: first(&layers, |context| context.cert.clone()),
            key: first(&layers, |context| context.key.clone()),
            server_name: first(&layers, |context| context.server_name.clone()),
            token: first(&layers, |context| {
                let file = context.token_file.clone().map(TokenFrom::File);
                file.or_else(|| context.token.clone().map(TokenFrom::Here))
            }),
            fleet: first(&layers, |context| context.fleet.clone()),
        })
    }

    /// With the files read that it names.
    ///
    /// # Errors
    /// A file cannot be read or holds no token; an address is none; a certificate lacks its key.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let file = |said: &Option<Said<PathBuf>>, what: &str| match said {
            None => Ok(None),
            Some(said) => read_file(&said.value, MAX_BYTES)
                .map(Some)
                .map_err(|fault| Failure::usage(format!("the {what} {} ({}) {fault}", said.value.display(), said.by))),
        };
        let identity = match (file(&self.cert, "certificate")?, file(&self.key, "key")?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err(Failure::usage("a certificate and its key go together: give --cert and --key")),
        };
        let (uri, tls) = address(&self.address.value, self.ca.is_some() || identity.is_some()).map_err(|fault| {
            Failure::usage(format!("the address {} ({}) {fault}", self.address.value, self.address.by))
        })?;
        Ok(Target {
            uri,
            tls,
            ca: file(&self.ca, "authority's certificate")?,
            identity,
            server_name: self.server_name.as_ref().map(|said| said.value.clone()),
            token: self.token.as_ref().map(token).transpose()?,
            fleet: self.fleet.as_ref().map(|said| said.value.clone()),
        })
    }
}

impl Target {
    /// Whether a token would go over the network for all to read.
    pub(crate) fn tells_its_token(&self) -> bool {
        self.token.is_some() && !self.tls && !is_here(self.uri.trim_start_matches("http://"))
    }
}

fn from_environment(variables: Variables<'_>) -> Result<Layer, Failure> {
    let path = |name| variables(name).map(PathBuf::from);
    let token = match variables("FUSEBOX_TOKEN") {
        None => None,
        Some(text) => Some(
            Secret::try_key(&text).map_err(|fault| Failure::usage(format!("the variable FUSEBOX_TOKEN {fault}")))?,
        ),
    };
    Ok(Layer {
        by: "environment".to_owned(),
        context: Context {
            address: variables("FUSEBOX_ADDRESS"),
            ca: path("FUSEBOX_CA"),
            cert: path("FUSEBOX_CERT"),
            key: path("FUSEBOX_KEY"),
            server_name: variables("FUSEBOX_SERVER_NAME"),
            token_file: path("FUSEBOX_TOKEN_FILE"),
            token,
            fleet: None,
        },
    })
}

fn first<T>(layers: &[Layer], pick: impl Fn(&Context) -> Option<T>) -> Option<Said<T>> {
    layers.iter().find_map(|layer| pick(&layer.context).map(|value| Said { value, by: layer.by.clone() }))
}

fn token(said: &Said<TokenFrom>) -> Result<Secret, Failure> {
    let wrong = |what: &str, fault: &str| Failure::usage(format!("{what} ({}) {fault}", said.by));
    match &said.value {
        TokenFrom::Here(token) => Secret::try_key(token.reveal()).map_err(|fault| wrong("the token", fault)),
        TokenFrom::File(file) => {
            let what = format!("the token file {}", file.display());
            Secret::try_from_file(file).map_err(|fault| wrong(&what, &fault))
        }
    }
}

/// An address with its scheme, and whether TLS is spoken there: as the scheme says; without one, unless it is this
/// machine and no certificate was named.
fn address(text: &str, certified: bool) -> Result<(String, bool), String> {
    let (scheme, authority) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest.trim_end_matches('/')),
        Some((scheme, _)) => return Err(format!("begins with {scheme}://; write http:// or https://, or neither")),
        None => (None, text),
    };
    let parsed: http::uri::Authority = authority.parse().map_err(|_| "is none; write HOST:PORT".to_owned())?;
    if parsed.host().is_empty() || authority.contains(['@', '/']) {
        return Err("is none; write HOST:PORT".to_owned());
    }
    if parsed.port_u16().is_none() {
        return Err("names no port; write HOST:PORT, such as 127.0.0.1:50052".to_owned());
    }
    let tls = scheme.map_or(certified || !is_here(authority), |scheme| scheme == "https");
    if certified && !tls {
        return Err("begins with http://, where no certificate is shown or asked for; write https://".to_owned());
    }
    Ok((format!("{}://{authority}", if tls { "https" } else { "http" }), tls))
}

/// Whether HOST:PORT is on this machine.
fn is_here(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || ip.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(current: Option<&str>) -> Contexts {
        let one = |name: &str| Context {
            address: Some(format!("{name}:50052")),
            token: Some(Secret::new(format!("token-of-{name}"))),
            fleet: Some(name.to_owned()),
            ..Context::default()
        };
        let mut contexts = Contexts::default();
        contexts.current = current.map(str::to_owned);
        contexts.all = ["north", "south"].map(|name| (name.to_owned(), one(name))).into();
        contexts
    }

    /// The address and the token that are used, and the fleet that must answer.
    fn resolved(global: &Global, variables: &[(&str, &str)], current: Option<&str>) -> (String, String, String) {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::resolve(global, &variable, &contexts(current)).unwrap();
        let target = settings.target().unwrap();
        let token = target.token.map_or(String::new(), |token| token.reveal().to_owned());
        (target.uri, token, target.fleet.unwrap_or_default())
    }

    fn typed(address: Option<&str>, context: Option<&str>) -> Global {
        Global { address: address.map(str::to_owned), context: context.map(str::to_owned), ..Global::default() }
    }

    #[test]
    fn what_is_typed_beats_the_environment_and_that_the_file() {
        let environment = [("FUSEBOX_ADDRESS", "env:1"), ("FUSEBOX_TOKEN", "token-of-env")];
        let case = |address, context, variables: &[(&str, &str)], current, right: [&str; 3]| {
            let (uri, token, fleet) = resolved(&typed(address, context), variables, current);
            assert_eq!([uri.as_str(), token.as_str(), fleet.as_str()], right);
        };
        case(None, None, &[], None, ["http://127.0.0.1:50052", "", ""]);
        case(None, None, &[], Some("north"), ["https://north:50052", "token-of-north", "north"]);
        case(None, None, &environment, Some("north"), ["https://env:1", "token-of-env", ""]);
        case(None, Some("south"), &environment, Some("north"), ["https://south:50052", "token-of-south", "south"]);
        case(
            None,
            None,
            &[("FUSEBOX_CONTEXT", "south")],
            Some("north"),
            ["https://south:50052", "token-of-south", "south"],
        );
        case(Some("there:2"), None, &environment, Some("north"), ["https://there:2", "token-of-env", ""]);
        case(Some("localhost:2"), Some("north"), &[], None, ["http://localhost:2", "token-of-north", "north"]);
    }

    #[test]
    fn a_contexts_token_does_not_follow_an_address_that_is_none_of_its_own() {
        for variables in [&[][..], &[("FUSEBOX_CONTEXT", "north")][..]] {
            let (uri, token, fleet) = resolved(&typed(Some("evil:1"), None), variables, Some("north"));
            assert_eq!([uri.as_str(), token.as_str(), fleet.as_str()], ["https://evil:1", "", ""]);
        }
        let (_, token, _) = resolved(&Global::default(), &[("FUSEBOX_ADDRESS", "evil:1")], Some("north"));
        assert_eq!(token, "");
    }

    #[test]
    fn tls_is_spoken_unless_it_is_this_machine_or_is_said_otherwise() {
        for (text, certified, right) in [
            ("127.0.0.1:1", false, Ok("http://127.0.0.1:1")),
            ("localhost:1", false, Ok("http://localhost:1")),
            ("[::1]:1", false, Ok("http://[::1]:1")),
            ("127.0.0.1:1", true, Ok("https://127.0.0.1:1")),
            ("fleet.example:1", false, Ok("https://fleet.example:1")),
            ("http://fleet.example:1", false, Ok("http://fleet.example:1")),
            ("https://127.0.0.1:1/", false, Ok("https://127.0.0.1:1")),
            ("http://127.0.0.1:1", true, Err("begins with http://, where")),
            ("fleet.example", false, Err("names no port")),
            ("ftp://x:1", false, Err("begins with ftp://")),
            ("x:1/path", false, Err("is none")),
            ("user@x:1", false, Err("is none")),
            ("", false, Err("is none")),
        ] {
            match (address(text, certified), right) {
                (Ok((uri, _)), Ok(right)) => assert_eq!(uri, right, "{text}"),
                (Err(fault), Err(right)) => assert!(fault.starts_with(right), "{text}: {fault}"),
                (read, right) => panic!("{text}: {read:?}, not {right:?}"),
            }
        }
    }

    #[test]
    fn a_token_in_the_clear_is_noticed() {
        let told = |address: &str| {
            let (variable, global) =
                (|name: &str| (name == "FUSEBOX_TOKEN").then(|| "t".to_owned()), typed(Some(address), None));
            Settings::resolve(&global, &variable, &contexts(None)).unwrap().target().unwrap().tells_its_token()
        };
        assert!(told("http://fleet.example:1"));
        assert!(!told("fleet.example:1") && !told("127.0.0.1:1") && !told("http://[::1]:1"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_who_named_it() {
        let global = Global { token_file: Some("/does/not/exist".into()), ..Global::default() };
        let settings = Settings::resolve(&global, &|_| None, &contexts(None)).unwrap();
        let fault = settings.target().unwrap_err();
        assert!(
            fault.what().starts_with("the token file /does/not/exist (typed) cannot be read: "),
            "{}",
            fault.what()
        );
        let cert = tempfile::NamedTempFile::new().unwrap();
        let global = Global { cert: Some(cert.path().into()), ..Global::default() };
        let settings = Settings::resolve(&global, &|_| None, &contexts(None)).unwrap();
        assert!(settings.target().unwrap_err().what().contains("go together"));
    }
}
