//! The tokens by which callers say who they are, as a file lists them: `operator NAME TOKEN` or `viewer NAME TOKEN`, one a
//! line; empty lines and those that begin with `#` are passed over.
//!
//! No fault quotes a line: a word that stands in the wrong place may be the token.

use std::{fmt, path::Path, sync::Arc};

use fusebox_base::config::{Secret, read_file, same};
use ring::hmac;

use super::Role;

/// Characters of a token that cannot be tried out.
const LEAST: usize = 16;
/// The longest token, in characters.
const MOST: usize = 512;
/// The longest name, in characters.
const MOST_NAME: usize = 64;
/// Tokens of one file.
const MOST_TOKENS: usize = 1_000;
/// Larger than any file of them: one past it is the wrong file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Bytes by which a session knows its token.
const ID: usize = 16;

/// Everyone who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens(Vec<Token>);

/// One of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub name: Arc<str>,
    /// What its holder may do.
    pub role: Role,
    secret: Secret,
    id: [u8; ID],
}

impl Tokens {
    /// Those that the file lists.
    ///
    /// # Errors
    /// Clauses that say everything that is wrong with it, each with its line, and no word of it.
    pub fn read(file: &Path) -> Result<Self, Vec<String>> {
        let named = |fault: &str| format!("{} {fault}", file.display());
        let text = read_file(file, MAX_FILE_BYTES).map_err(|fault| vec![named(&fault)])?;
        Self::parse(&text).map_err(|faults| faults.iter().map(|fault| named(fault)).collect())
    }

    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (mut tokens, mut faults) = (Vec::<(usize, Token)>::new(), Vec::new());
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            match parse_line(line).and_then(|token| fits(&tokens, &token).map(|()| token)) {
                Ok(token) => tokens.push((number, token)),
                Err(fault) => faults.push(format!("is wrong in line {number}: {fault}")),
            }
        }
        if tokens.is_empty() && faults.is_empty() {
            faults.push("holds no token; write `operator NAME TOKEN` or `viewer NAME TOKEN` on each line".to_owned());
        }
        if tokens.len() > MOST_TOKENS {
            faults.push(format!("holds {} tokens; {MOST_TOKENS} is the most allowed", tokens.len()));
        }
        if faults.is_empty() { Ok(Self(tokens.into_iter().map(|(_, token)| token).collect())) } else { Err(faults) }
    }

    /// Who holds `shown`, if anyone does. Takes the same time whichever token it is, or nearly is.
    #[must_use]
    pub fn find(&self, shown: &str) -> Option<&Token> {
        self.0.iter().fold(None, |found, one| if one.secret.is(shown) { Some(one) } else { found })
    }

    /// The token of this id.
    pub(super) fn of_id(&self, id: &[u8]) -> Option<&Token> {
        self.0.iter().fold(None, |found, one| if same(&one.id, id) { Some(one) } else { found })
    }

    /// Whether one of them lets its holder change something.
    #[must_use]
    pub fn has_operator(&self) -> bool {
        self.0.iter().any(|token| token.role == Role::Operator)
    }
}

impl Token {
    fn new(role: Role, name: &str, token: &str) -> Self {
        let secret = Secret::new(token);
        let mut id = [0; ID];
        let digest = hmac::sign(&key(&secret), b"fusebox token id");
        id.iter_mut().zip(digest.as_ref()).for_each(|(byte, of)| *byte = *of);
        Self { name: name.into(), role, secret, id }
    }

    /// What a session knows it by: nobody who reads it learns the token.
    pub(super) const fn id(&self) -> &[u8; ID] {
        &self.id
    }

    /// Signs what only its holder, and whoever has the file, can have signed.
    pub(super) fn key(&self) -> hmac::Key {
        key(&self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.name(), self.name)
    }
}

fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes())
}

fn parse_line(line: &str) -> Result<Token, String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [role, name, token] = words[..] else {
        return Err(format!(
            "it has {} words instead of 3; write `operator NAME TOKEN` or `viewer NAME TOKEN`",
            words.len()
        ));
    };
    let (_, role) = Role::WORDS
        .into_iter()
        .find(|(word, _)| *word == role)
        .ok_or("it begins with neither operator nor viewer; write `operator NAME TOKEN` or `viewer NAME TOKEN`")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
    if name.len() > MOST_NAME || !name.chars().all(is_name) {
        return Err(format!("the name is none; use up to {MOST_NAME} letters, digits, `.`, `_`, `-`, `@` and `+`"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token holds something that no header takes; use letters, digits and signs of ASCII".to_owned());
    }
    match token.len() {
        0..LEAST => Err(format!("the token has fewer than {LEAST} characters, which could be tried out")),
        LEAST..=MOST => Ok(Token::new(role, name, token)),
        _ => Err(format!("the token has more than {MOST} characters")),
    }
}

/// Whether `token` can stand beside those before it. One name may have several: that is how a token is exchanged.
fn fits(before: &[(usize, Token)], token: &Token) -> Result<(), String> {
    for (line, other) in before {
        if other.secret == token.secret {
            return Err(format!("the token is that of line {line}; each needs its own"));
        }
        if other.name == token.name && other.role != token.role {
            return Err(format!("the name is that of line {line}, with another role; the audit log needs one of each"));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    pub(in crate::access) const ADA: &str = "0123456789abcdef";
    pub(in crate::access) const BOB: &str = "fedcba9876543210";

    /// Ada, who operates, and Bob, who looks.
    pub(in crate::access) fn both() -> Tokens {
        parse(&format!("operator ada {ADA}\nviewer bob {BOB}"))
    }

    /// The same, once Ada's token was taken out.
    pub(in crate::access) fn only_bob() -> Tokens {
        parse(&format!("viewer bob {BOB}"))
    }

    fn parse(text: &str) -> Tokens {
        Tokens::parse(text).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    #[test]
    fn a_token_is_found_with_its_holder_and_role_and_a_near_one_is_not() {
        let text = format!("# who may\n\n operator  ada@example.com\t{ADA} \nviewer bob {BOB}\r\n");
        let tokens = parse(&text);
        let found = |shown: &str| tokens.find(shown).map(|token| (&*token.name, token.role));
        assert_eq!(found(ADA), Some(("ada@example.com", Role::Operator)));
        assert_eq!(found(BOB), Some(("bob", Role::Viewer)));
        for wrong in ["", "0123456789abcdeg", "0123456789abcde", "0123456789abcdef ", "viewer"] {
            assert_eq!(found(wrong), None, "{wrong:?}");
        }
        assert!(tokens.has_operator() && !parse(&format!("viewer bob {BOB}")).has_operator());
        assert_eq!(tokens.of_id(tokens.find(BOB).unwrap().id()).map(|token| &*token.name), Some("bob"));
        assert_eq!(tokens.of_id(&[0; ID]), None);
    }

    #[test]
    fn a_name_may_have_two_tokens_while_one_is_exchanged_for_the_other() {
        let tokens = parse(&format!("operator ada {ADA}\noperator ada {BOB}\n"));
        assert!(tokens.find(ADA).is_some() && tokens.find(BOB).is_some());
    }

    #[test]
    fn every_fault_is_named_with_its_line_and_without_a_word_of_it() {
        let text = format!(
            "operator {ADA}\nadmin ada {ADA}\nviewer {ADA} ada\nviewer b/b {ADA}\nviewer bob {BOB}\n\
             operator eve {BOB}\noperator bob {ADA}\nviewer eve {ADA}é\nviewer eve {}\n",
            "x".repeat(513)
        );
        let faults = Tokens::parse(&text).unwrap_err();
        let right = [
            "is wrong in line 1: it has 2 words instead of 3;",
            "is wrong in line 2: it begins with neither operator nor viewer;",
            "is wrong in line 3: the token has fewer than 16 characters",
            "is wrong in line 4: the name is none;",
            "is wrong in line 6: the token is that of line 5;",
            "is wrong in line 7: the name is that of line 5, with another role;",
            "is wrong in line 8: the token holds something that no header takes;",
            "is wrong in line 9: the token has more than 512 characters",
        ];
        assert_eq!(faults.len(), right.len(), "{faults:#?}");
        for (fault, right) in faults.iter().zip(right) {
            assert!(fault.starts_with(right), "{fault}");
            assert!(!fault.contains(ADA) && !fault.contains(BOB), "{fault}");
        }
    }

    #[test]
    fn a_file_without_a_token_lets_nobody_in_unseen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, fault) in [("# none\n", "holds no token"), (&*"#".repeat(2 << 20), "is larger than 1MiB")] {
            fs::write(file.path(), text).unwrap();
            let faults = Tokens::read(file.path()).unwrap_err();
            assert!(matches!(&*faults, [one] if one.contains(fault)), "{faults:?}");
        }
        assert!(Tokens::read(Path::new("/no/such")).unwrap_err()[0].contains("cannot be read"));
    }

    #[test]
    fn what_is_shown_of_tokens_is_whose_they_are() {
        assert_eq!(format!("{:?}", parse(&format!("viewer bob {BOB}"))), "Tokens([viewer bob])");
    }
}
