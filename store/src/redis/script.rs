//! Lua scripts by their digests, and several requests sent as one.

use std::{slice, sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::timeout;

use super::dial::Wire;

/// A Lua text and its SHA-1. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Script(Arc<Text>);

#[derive(Debug)]
struct Text {
    lua: &'static str,
    digest: String,
}

impl Script {
    /// One that is part of the program. It is sent in full only to servers that do not know it yet.
    #[must_use]
    pub fn new(lua: &'static str) -> Self {
        Self(Arc::new(Text { lua, digest: redis::Script::new(lua).get_hash().to_owned() }))
    }

    /// SHA-1 of the text, as Redis knows it: 40 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }
}

/// Requests that are sent together, and answered each by itself. On a single server they go in one write, and one
/// after the other is carried out; others' may come in between. On a Cluster each goes to the node of its first key,
/// and nothing is said of their order. A script that a server did not know is carried out after the others.
#[derive(Debug, Clone, Default)]
pub struct Batch(Vec<Call>);

#[derive(Debug, Clone)]
enum Call {
    Plain(Cmd),
    Script { script: Script, keys: Vec<Vec<u8>>, args: Vec<Vec<u8>> },
}

impl Batch {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also runs `script` on `keys`, which on a Cluster share a slot.
    #[must_use]
    pub fn script(mut self, script: &Script, keys: Vec<Vec<u8>>, args: Vec<Vec<u8>>) -> Self {
        self.0.push(Call::Script { script: script.clone(), keys, args });
        self
    }

    /// Also carries out a plain command.
    #[must_use]
    pub fn command(mut self, command: Cmd) -> Self {
        self.0.push(Call::Plain(command));
        self
    }

    /// How many requests, and so how many replies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As many replies as requests, in their order; none for a request that was not answered within `limit`.
    pub(super) async fn run(&self, wire: &Wire, limit: Duration) -> Vec<Option<RedisResult<Value>>> {
        match wire {
            Wire::One(_) => match timeout(limit, run(wire, &self.0)).await {
                Ok(replies) => replies.into_iter().map(Some).collect(),
                Err(_) => vec![None; self.len()],
            },
            // One node's silence is not the others'.
            Wire::Cluster { .. } => {
                let each = self.0.iter().map(|call| timeout(limit, run(wire, slice::from_ref(call))));
                let answers = join_all(each).await.into_iter();
                answers.map(|answer| answer.ok().and_then(|mut replies| replies.pop())).collect()
            }
        }
    }
}

async fn run(wire: &Wire, calls: &[Call]) -> Vec<RedisResult<Value>> {
    let mut replies = wire.send(calls.iter().map(Call::by_digest).collect()).await;
    let unknown: Vec<usize> = (0..replies.len()).filter(|at| replies[*at].as_ref().is_err_and(no_script)).collect();
    if !unknown.is_empty() {
        let whole = unknown.iter().map(|at| calls[*at].in_full()).collect();
        for (at, reply) in unknown.into_iter().zip(wire.send(whole).await) {
            replies[at] = reply;
        }
    }
    replies
}

impl Call {
    fn by_digest(&self) -> Cmd {
        match self {
            Self::Plain(command) => command.clone(),
            Self::Script { script, keys, args } => command("EVALSHA", script.digest(), keys, args),
        }
    }

    /// Sends the text along, by which the server comes to know it.
    fn in_full(&self) -> Cmd {
        match self {
            Self::Plain(command) => command.clone(),
            Self::Script { script, keys, args } => command("EVAL", script.0.lua, keys, args),
        }
    }
}

fn command(name: &str, script: &str, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len());
    for text in keys.iter().chain(args) {
        command.arg(text.as_slice());
    }
    command
}

fn no_script(error: &RedisError) -> bool {
    error.kind() == ServerErrorKind::NoScript.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_the_sha1_of_its_text() {
        assert_eq!(Script::new("return 1").digest(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }

    #[test]
    fn a_script_is_called_by_digest_or_in_full_with_as_many_keys_as_it_has() {
        let script = Script::new("return 1");
        let batch = Batch::new().script(&script, vec![b"k1".to_vec(), b"k2".to_vec()], vec![vec![0, 255]]);
        let words = |name: &str, text: &str| {
            let mut command = redis::cmd(name);
            command.arg(text).arg(2).arg("k1").arg("k2").arg(&[0_u8, 255][..]);
            command.get_packed_command()
        };
        assert_eq!(batch.0[0].by_digest().get_packed_command(), words("EVALSHA", script.digest()));
        assert_eq!(batch.0[0].in_full().get_packed_command(), words("EVAL", "return 1"));
    }
}
