//! What can be asked of the store: each operation is one script in Redis, and the same thing done in memory.

use std::fmt::Debug;

use fusebox_proto::keys::Keys;
use fusebox_rules::fleet::Stamp;

use crate::{StoreError, memory::Memory, redis::Value};

/// One thing to ask. Its script and its doing in memory give the same replies: a test holds them to each other.
pub trait Operation: Debug + Send + Sync {
    /// What is answered.
    type Reply: Debug + Send;

    /// The Lua text that does it.
    const SCRIPT: &'static str;

    /// The keys that the script touches. On a Cluster they share a slot.
    fn keys(&self, keys: &Keys) -> Vec<String>;

    /// The script's arguments.
    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>>;

    /// Reads what the script returns after the time.
    ///
    /// # Errors
    /// It is not what the script returns.
    fn read(&self, reply: &mut Reply) -> Result<Self::Reply, StoreError>;

    /// Does it in memory.
    fn apply(&self, memory: &mut Memory, now: Stamp) -> Self::Reply;
}

/// Where a script runs: what its arguments may have to name.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Names keys and channels.
    pub keys: &'a Keys,
    /// By which command hints are published there.
    pub publish: &'static str,
}

impl Place<'_> {
    /// How it is hinted at what becomes of alerts: the command, and the channel.
    pub(crate) fn alerts(&self) -> [Vec<u8>; 2] {
        [self.publish.into(), self.keys.alerts_channel().into_bytes()]
    }
}

/// A script's reply, read from the front.
#[derive(Debug)]
pub struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    /// That of a script, with its first element: the store's time.
    ///
    /// # Errors
    /// It is no list that begins with one.
    pub fn begin(value: Value) -> Result<(Stamp, Self), StoreError> {
        let Value::Array(values) = value else { return Err(odd(&value)) };
        let mut reply = Self(values.into_iter());
        let now = Stamp::from_millis(reply.number()?);
        Ok((now, reply))
    }

    /// The next element as a number: an integer, or digits.
    ///
    /// # Errors
    /// It is none, or out of `T`'s range.
    pub fn number<T: TryFrom<u64>>(&mut self) -> Result<T, StoreError> {
        let value = self.next()?;
        let number = match &value {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::BulkString(digits) => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
            _ => None,
        };
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| odd(&value))
    }

    /// The next element as bytes.
    ///
    /// # Errors
    /// It is no string.
    pub fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.next()? {
            Value::BulkString(bytes) => Ok(bytes),
            other => Err(odd(&other)),
        }
    }

    /// The next element as text.
    ///
    /// # Errors
    /// It is none.
    pub fn text(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.bytes()?).map_err(|_| StoreError::Protocol("a text is not UTF-8".into()))
    }

    /// The next element as a list.
    ///
    /// # Errors
    /// It is none.
    pub fn list(&mut self) -> Result<Self, StoreError> {
        match self.next()? {
            Value::Array(values) => Ok(Self(values.into_iter())),
            other => Err(odd(&other)),
        }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.len() == 0
    }

    fn next(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or_else(|| StoreError::Protocol("a reply is shorter than expected".into()))
    }
}

fn odd(value: &Value) -> StoreError {
    let kind = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number out of range",
        Value::BulkString(_) | Value::SimpleString(_) => "a text that is no number",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    StoreError::Protocol(format!("a reply holds {kind} where another thing is expected"))
}

/// A number as the scripts take it.
#[must_use]
pub(crate) fn digits(number: impl Into<u64>) -> Vec<u8> {
    number.into().to_string().into_bytes()
}

/// The shortest duration that the scripts take.
pub(crate) const SHORTEST: std::time::Duration = std::time::Duration::from_millis(1);

/// So long before `now`, or when time began.
#[must_use]
pub(crate) fn before(now: Stamp, duration: std::time::Duration) -> Stamp {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Stamp::from_millis(now.as_millis().saturating_sub(millis))
}

/// A duration as the scripts take it, in whole milliseconds and at least one.
#[must_use]
pub(crate) fn millis(duration: std::time::Duration) -> Vec<u8> {
    let millis = duration.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(millis).unwrap_or(u64::MAX).to_string().into_bytes()
}
