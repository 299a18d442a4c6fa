//! `context`: which fleets are known, which one is used, and what a command would use now.

use serde_json::{Value, json};

use super::{
    args::{self, Global},
    contexts::{Contexts, Variables},
    exit::{Exit, Failure},
    out::Out,
    page::{Line, Tone},
    table::{Column, Table},
    target::{Said, Settings, TokenFrom},
};

/// Does what `command` asks for. No control plane is called, and no token shown.
///
/// # Errors
/// The contexts file is wrong, or cannot be written.
pub(crate) fn context(
    command: &args::Context,
    global: &Global,
    variables: Variables<'_>,
    out: Out,
) -> Result<Exit, Failure> {
    let contexts = Contexts::load(global.config.as_deref(), variables)?;
    match command {
        args::Context::List => list(&contexts, out)?,
        args::Context::Use { name } => {
            contexts.choose(name)?;
            if out.json {
                out.text(&format!("{:#}\n", json!({"current": name})))?;
            } else {
                out.lines(&[format!("✓ {name} is used from now on").into()])?;
            }
        }
        args::Context::Show { name } => {
            let global = match name {
                // One that is named is shown as it would be if nothing else were typed.
                Some(name) => Global { context: Some(name.clone()), ..Global::default() },
                None => global.clone(),
            };
            show(&Settings::resolve(&global, variables, &contexts)?, out)?;
        }
    }
    Ok(Exit::Done)
}

fn list(contexts: &Contexts, out: Out) -> Result<(), Failure> {
    let current = |name: &str| contexts.current.as_deref() == Some(name);
    if out.json {
        let all = contexts.all.iter().map(
            |(name, one)| json!({"name": name, "current": current(name), "address": one.address, "fleet": one.fleet}),
        );
        return out.text(&format!("{:#}\n", Value::from_iter(all)));
    }
    if contexts.all.is_empty() {
        return out.lines(&["no contexts: see `fusebox context --help`".into()]);
    }
    let mut table = Table::new([
        Column::new(""),
        Column::new("CONTEXT"),
        Column::new("ADDRESS").shrinks_to(16),
        Column::new("FLEET").shrinks_to(6).gives_way(1),
    ]);
    for (name, one) in &contexts.all {
        table.row([
            Line::toned(if current(name) { "*" } else { "" }, Tone::Good),
            name.as_str().into(),
            one.address.as_deref().unwrap_or_default().into(),
            one.fleet.as_deref().unwrap_or_default().into(),
        ]);
    }
    out.lines(&table.lines(out.width()))
}

fn show(settings: &Settings, out: Out) -> Result<(), Failure> {
    let facts = facts(settings);
    if out.json {
        let all = facts.iter().map(|(name, said)| {
            ((*name).to_owned(), said.as_ref().map_or(Value::Null, |said| json!({"value": said.value, "by": said.by})))
        });
        let mut document: serde_json::Map<_, _> = all.collect();
        document.insert("context".to_owned(), json!(settings.context));
        return out.text(&format!("{:#}\n", Value::from(document)));
    }
    let mut table = Table::new([Column::new("SETTING"), Column::new("VALUE").shrinks_to(16), Column::new("SAID BY")]);
    for (name, said) in facts.iter().filter_map(|(name, said)| said.as_ref().map(|said| (name, said))) {
        table.row([Line::from(*name), said.value.as_str().into(), said.by.as_str().into()]);
    }
    out.lines(&table.lines(out.width()))
}

/// Each setting with its value as it may be shown.
fn facts(settings: &Settings) -> [(&'static str, Option<Said<String>>); 7] {
    let path = |said: &Option<Said<std::path::PathBuf>>| {
        said.as_ref().map(|said| Said { value: said.value.display().to_string(), by: said.by.clone() })
    };
    let token = settings.token.as_ref().map(|said| {
        let value = match &said.value {
            TokenFrom::File(file) => format!("in {}", file.display()),
            TokenFrom::Here(_) => "given, and not shown".to_owned(),
        };
        Said { value, by: said.by.clone() }
    });
    [
        ("address", Some(settings.address.clone())),
        ("fleet", settings.fleet.clone()),
        ("ca", path(&settings.ca)),
        ("cert", path(&settings.cert)),
        ("key", path(&settings.key)),
        ("serverName", settings.server_name.clone()),
        ("token", token),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_token_is_where_it_comes_from() {
        let variable = |name: &str| (name == "FUSEBOX_TOKEN").then(|| "s3cret".to_owned());
        let settings = Settings::resolve(&Global::default(), &variable, &Contexts::default()).unwrap();
        let facts = facts(&settings);
        let token = facts.iter().find(|(name, _)| *name == "token").unwrap().1.as_ref().unwrap();
        assert_eq!((token.value.as_str(), token.by.as_str()), ("given, and not shown", "environment"));
        let address = facts[0].1.as_ref().unwrap();
        assert_eq!((address.value.as_str(), address.by.as_str()), ("127.0.0.1:50052", "default"));
    }
}
