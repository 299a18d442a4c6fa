//! Where a Redis is, and how to be let in: the address as people write it, checked. Reads no file and opens nothing.
//!
//! An address may hold a password in any place that a slip of the pen puts it; so an error tells of the place, and
//! repeats nothing of the text.

use std::{fmt, path::PathBuf};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// More hosts than anybody lists: the others are found by asking.
const MAX_HOSTS: usize = 64;
const MAX_PREFIX_BYTES: usize = 128;

/// What to connect to. Neither `Debug` nor `Display` shows a user or a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) kind: Kind,
    pub(super) hosts: Vec<Host>,
    pub(super) login: Login,
    /// The Sentinels' own, if they ask for one.
    pub(super) sentinel_login: Login,
    pub(super) database: u16,
    pub(super) tls: Option<Tls>,
    prefix: String,
}

/// Which of the three kinds of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Cluster,
    /// The hosts are Sentinels; they know the master by this name.
    Sentinel {
        master: String,
    },
}

/// A name or an IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// Whom to say that we are.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// PEM files; the system's roots where no authority is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// What is wrong with an address, where, and what to write instead. Holds nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address of Redis: {0}")]
pub struct AddressError(pub(super) String);

impl Address {
    /// Reads `redis://`, `rediss://` (TLS), `redis+cluster://`, `rediss+cluster://`, `redis+sentinel://` or
    /// `rediss+sentinel://`, then `[user:password@]host[:port][,host[:port]…]`, then `/database`
    /// (`/master-name[/database]` with Sentinels), then `?` and any of `prefix`, `ca`, `cert`, `key`,
    /// `sentinel_username` and `sentinel_password`. What has a meaning in such an address is written as `%` and two
    /// hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong, where, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) =
            text.trim().split_once("://").ok_or_else(|| wrong("it has no scheme; it begins with redis:// or such"))?;
        let (cluster, sentinel, secure) = match scheme {
            "redis" => (false, false, false),
            "rediss" => (false, false, true),
            "redis+cluster" => (true, false, false),
            "rediss+cluster" => (true, false, true),
            "redis+sentinel" => (false, true, false),
            "rediss+sentinel" => (false, true, true),
            _ => {
                return Err(wrong(
                    "its scheme is not known; write redis, rediss (with TLS), redis+cluster, rediss+cluster, \
                     redis+sentinel or rediss+sentinel before ://",
                ));
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The last `@` ends the password, so that one with an unescaped `@` or `/` in it works all the same.
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut this = Self {
            kind: if cluster { Kind::Cluster } else { Kind::Single },
            hosts: hosts_of(hosts, if sentinel { SENTINEL_PORT } else { REDIS_PORT })?,
            login: login.map_or_else(|| Ok(Login::default()), login_of)?,
            sentinel_login: Login::default(),
            database: 0,
            tls: secure.then(Tls::default),
            prefix: String::new(),
        };
        if sentinel {
            let (master, database) = path.split_once('/').unwrap_or((path, ""));
            let master = decoded(master, "the master's name")?;
            if master.is_empty() {
                return Err(wrong("the master's name is missing; write it after the hosts: …:26379/mymaster"));
            }
            this.kind = Kind::Sentinel { master };
            this.database = database_of(database)?;
        } else {
            this.database = database_of(path)?;
        }
        this.read_settings(query)?;
        this.checked()
    }

    /// What every key begins with; often nothing. At most 128 bytes, without braces and blanks.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is a Cluster, where keys of one request must share a slot.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.kind == Kind::Cluster
    }

    fn read_settings(&mut self, query: &str) -> Result<(), AddressError> {
        for (index, setting) in query.split('&').filter(|setting| !setting.is_empty()).enumerate() {
            let place = format!("setting {} after `?`", index + 1);
            let (name, value) =
                setting.split_once('=').ok_or_else(|| wrong(format!("{place} has no value; write name=value")))?;
            let value = decoded(value, &place)?;
            match name {
                "prefix" => self.prefix = value,
                "sentinel_username" => self.sentinel_login.user = some(value),
                "sentinel_password" => self.sentinel_login.password = some(value),
                "ca" | "cert" | "key" => {
                    let tls = self.tls.as_mut().ok_or_else(|| {
                        wrong(format!("{place} is of TLS, which is not asked for; begin with rediss instead of redis"))
                    })?;
                    let file = Some(PathBuf::from(value)).filter(|file| !file.as_os_str().is_empty());
                    match name {
                        "ca" => tls.ca = file,
                        "cert" => tls.cert = file,
                        _ => tls.key = file,
                    }
                }
                _ => {
                    return Err(wrong(format!(
                        "{place} is not known; there are prefix, ca, cert, key, sentinel_username and \
                         sentinel_password (a `?` in a password is written %3F)"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What no part can say alone.
    fn checked(self) -> Result<Self, AddressError> {
        if self.kind == Kind::Single && self.hosts.len() > 1 {
            return Err(wrong(
                "there are several hosts; write redis+cluster:// or redis+sentinel:// if that is what they are",
            ));
        }
        if self.kind == Kind::Cluster && self.database != 0 {
            return Err(wrong("a Cluster has no database but 0; leave out what follows the hosts' `/`"));
        }
        if self.sentinel_login != Login::default() && !matches!(self.kind, Kind::Sentinel { .. }) {
            return Err(wrong("there is a login for Sentinels but no Sentinel; begin with redis+sentinel://"));
        }
        if self.tls.as_ref().is_some_and(|tls| tls.cert.is_some() != tls.key.is_some()) {
            return Err(wrong("of `cert` and `key` there is only one; a certificate is shown with its key, or not"));
        }
        if self.prefix.len() > MAX_PREFIX_BYTES {
            return Err(wrong(format!("`prefix` is longer than {MAX_PREFIX_BYTES} bytes")));
        }
        // Braces would decide about slots; blanks and the like nobody could type again.
        let unfit = |letter: char| matches!(letter, '{' | '}') || letter.is_whitespace() || letter.is_control();
        if self.prefix.contains(unfit) {
            return Err(wrong("`prefix` has a brace or a blank in it; write something like `team-a:`"));
        }
        Ok(self)
    }
}

fn hosts_of(text: &str, port: u16) -> Result<Vec<Host>, AddressError> {
    let hosts: Vec<Host> =
        text.split(',').enumerate().map(|(index, text)| host_of(text, index + 1, port)).collect::<Result<_, _>>()?;
    if hosts.len() > MAX_HOSTS {
        return Err(wrong(format!("there are more than {MAX_HOSTS} hosts; a few are enough, they name the others")));
    }
    Ok(hosts)
}

fn host_of(text: &str, index: usize, port: u16) -> Result<Host, AddressError> {
    let (name, port_text) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest
                .split_once(']')
                .ok_or_else(|| wrong(format!("host {index} begins with `[` but no `]` follows")))?;
            (name, after.strip_prefix(':').or_else(|| after.is_empty().then_some("")))
        }
        None => text.split_once(':').map_or((text, Some("")), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() {
        return Err(wrong(format!("host {index} has no name; write host:port")));
    }
    // The text is not repeated: where the host was forgotten, a password stands in its place.
    let bad_port = || wrong(format!("host {index} has a port that is not a number from 1 to 65535"));
    let port = match port_text {
        Some("") => port,
        Some(text) => text.parse().ok().filter(|port| *port != 0).ok_or_else(bad_port)?,
        None => return Err(bad_port()),
    };
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':' | '%');
    if !name.chars().all(fits) {
        return Err(wrong(format!("host {index} is neither a name nor an IP address (IPv6 as [::1]:6379)")));
    }
    Ok(Host { name: name.to_owned(), port })
}

fn login_of(text: &str) -> Result<Login, AddressError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let login = Login { user: some(decoded(user, "the user")?), password: some(decoded(password, "the password")?) };
    match login {
        Login { user: Some(_), password: None } => {
            Err(wrong("there is a user without a password; write user:password@ or :password@"))
        }
        login => Ok(login),
    }
}

fn database_of(text: &str) -> Result<u16, AddressError> {
    match text.trim_end_matches('/') {
        "" => Ok(0),
        text => text.parse().map_err(|_| wrong("the database, after the last `/`, is not a number from 0 to 65535")),
    }
}

/// `%` and two hexadecimal digits stand for a byte.
fn decoded(text: &str, place: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'%', None) => {
                return Err(wrong(format!("{place} has a `%` without two hexadecimal digits; `%` itself is %25")));
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong(format!("{place} is not UTF-8")))
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn wrong(what: impl Into<String>) -> AddressError {
    AddressError(what.into())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secure = if self.tls.is_some() { "s" } else { "" };
        let kind = match self.kind {
            Kind::Single => "",
            Kind::Cluster => "+cluster",
            Kind::Sentinel { .. } => "+sentinel",
        };
        write!(f, "redis{secure}{kind}://")?;
        for (index, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if index == 0 { "" } else { "," })?;
        }
        if let Kind::Sentinel { master } = &self.kind {
            write!(f, "/{master}")?;
        }
        if self.database == 0 { Ok(()) } else { write!(f, "/{}", self.database) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn hosts(address: &Address) -> Vec<String> {
        address.hosts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_kind_of_address_is_read() {
        let single = read("redis://ada:p%40ss@cache.example:7000/3?prefix=team-a:");
        assert_eq!((single.kind.clone(), hosts(&single)), (Kind::Single, vec!["cache.example:7000".to_owned()]));
        assert_eq!(single.login, Login { user: Some("ada".into()), password: Some("p@ss".into()) });
        assert_eq!((single.database, single.prefix(), single.tls.is_some()), (3, "team-a:", false));

        let cluster = read("rediss+cluster://:word@a,b:7001,[::1]:7002?ca=/tls/ca.pem&cert=c.pem&key=k%3F.pem");
        assert!(cluster.is_cluster());
        assert_eq!(hosts(&cluster), ["a:6379", "b:7001", "[::1]:7002"]);
        let files = Tls { ca: Some("/tls/ca.pem".into()), cert: Some("c.pem".into()), key: Some("k?.pem".into()) };
        assert_eq!(cluster.tls, Some(files));

        let sentinel = read("redis+sentinel://:word@a,b:1/mymaster/2?sentinel_password=other");
        assert_eq!(sentinel.kind, Kind::Sentinel { master: "mymaster".into() });
        assert_eq!((hosts(&sentinel), sentinel.database), (vec!["a:26379".to_owned(), "b:1".to_owned()], 2));
        assert_eq!(sentinel.sentinel_login.password.as_deref(), Some("other"));
    }

    #[test]
    fn a_password_may_have_letters_in_it_that_should_have_been_escaped() {
        assert_eq!(read("redis://:a/b@c:d@host").login.password.as_deref(), Some("a/b@c:d"));
    }

    #[test]
    fn a_wrong_address_is_refused_with_the_place_and_the_cure_and_without_the_password() {
        let cases = [
            ("hunter2", "no scheme"),
            ("http://:hunter2@h", "scheme is not known"),
            ("redis://:hunter2@", "host 1 has no name"),
            ("redis://ada:hunter2", "host 1 has a port"),
            ("redis://:hunter2@h:99999", "host 1 has a port"),
            ("redis://:hunter2@h:0", "host 1 has a port"),
            ("redis://:hunter2@[::1", "no `]` follows"),
            ("redis://:hunter2@[::1]7", "host 1 has a port"),
            ("redis://:hunter2@a b", "neither a name"),
            ("redis://:hunter2@a,b", "several hosts"),
            ("redis://:hunter2%@h", "the password has a `%`"),
            ("redis://:%ffhunter2@h", "not UTF-8"),
            ("redis://hunter2@h", "a user without a password"),
            ("redis://:hunter2@h/x", "the database"),
            ("redis://:x?hunter2@h", "host 1 has no name"),
            ("redis://:a@h?hunter2", "setting 1 after `?` has no value"),
            ("redis://:a@h?prefix=p&hunter2=1", "setting 2 after `?` is not known"),
            ("redis://:hunter2@h?ca=f", "begin with rediss"),
            ("rediss://:hunter2@h?cert=f", "only one"),
            ("redis://:hunter2@h?prefix={a}", "a brace or a blank"),
            ("redis://:hunter2@h?sentinel_password=hunter2", "no Sentinel"),
            ("redis+cluster://:hunter2@h/1", "no database but 0"),
            ("redis+sentinel://:hunter2@h", "the master's name is missing"),
        ];
        for (text, part) in cases {
            let error = Address::parse(text).expect_err(text);
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert!(!format!("{error}{error:?}").contains("hunter2"), "{error}");
        }
        let many = format!("redis+cluster://{}", vec!["h"; MAX_HOSTS + 1].join(","));
        assert!(Address::parse(&many).unwrap_err().to_string().contains("more than 64"));
        let long = format!("redis://h?prefix={}", "p".repeat(MAX_PREFIX_BYTES + 1));
        assert!(Address::parse(&long).unwrap_err().to_string().contains("128"));
    }

    #[test]
    fn an_address_is_shown_without_its_logins() {
        let address = read("rediss+sentinel://ada:hunter2@a:1,b/m/4?sentinel_username=bob&sentinel_password=hunter3");
        assert_eq!(address.to_string(), "rediss+sentinel://a:1,b:26379/m/4");
        let shown = format!("{address}{address:?}{:?}{:?}", address.login, address.sentinel_login);
        assert!(["ada", "bob", "hunter"].iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
}
