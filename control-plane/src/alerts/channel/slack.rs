//! Slack's incoming webhooks: blocks for those who look, and a text for those who are notified.

use bytes::Bytes;
use fusebox_rules::fleet::Stamp;
use http::HeaderMap;
use serde_json::{Value, json};

use super::http::Poster;
use crate::alerts::{
    policy::Outcome,
    settings,
    words::{Note, line},
};

/// Alerts that are shown each by itself; of more, the number is told. Slack takes fifty blocks.
const MOST_SHOWN: usize = 20;
/// Letters of a header's text. Slack takes 150.
const MOST_HEADER: usize = 150;
/// Letters of a section's text. Slack takes 3,000.
const MOST_SECTION: usize = 3_000;

#[derive(Debug)]
pub(in crate::alerts) struct SlackSender(Poster);

impl SlackSender {
    pub(super) fn try_new(settings: &settings::Slack) -> Result<Self, String> {
        Ok(Self(Poster::try_new(&settings.url, None, vec![settings.url.clone()])?))
    }

    pub(super) async fn send(&self, note: &Note, now: Stamp) -> Outcome {
        self.0.post(Bytes::from(body(note).to_string()), HeaderMap::new(), now).await
    }
}

fn body(note: &Note) -> Value {
    let headline = note.headline();
    // A header's text is shown as it is; all others are read as mrkdwn.
    let header: String = headline.chars().take(MOST_HEADER).collect();
    let mut blocks = vec![json!({ "type": "header", "text": { "type": "plain_text", "text": header } })];
    blocks.extend(note.alerts().take(MOST_SHOWN).map(|alert| section(&line(alert))));
    let more = note.alerts().len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        blocks.push(section(&format!("and {more} more")));
    }
    if let Some(dashboard) = &note.dashboard {
        let text = format!("<{}|Fusebox>", escape(dashboard).replace('|', "%7C"));
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }));
    }
    let text = match &*note.message.items {
        [item] => format!("{headline}\n{}", line(&item.alert)),
        _ => headline,
    };
    json!({ "text": clipped(&escape(&text)), "blocks": blocks })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": clipped(&escape(text)) } })
}

fn clipped(text: &str) -> String {
    text.chars().take(MOST_SECTION).collect()
}

/// So that nothing in it is taken for a link, or calls everybody in the channel.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::{
        policy::Word,
        words::fixture::{alert, note},
    };

    #[test]
    fn a_message_has_a_text_and_blocks_in_which_nothing_is_taken_for_markup() {
        let body = body(&note(Word::Raise, vec![alert(7)]));
        assert_eq!(body["text"].as_str().unwrap().lines().next(), Some("Firing, warning: error spike: a (fleet eu 1)"));
        let kinds: Vec<_> = body["blocks"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
        assert_eq!(kinds, ["header", "section", "context"]);
        let section = body["blocks"][1]["text"]["text"].as_str().unwrap();
        assert_eq!(section, "a: &lt;b&gt; &amp; \"errors\" (since 2023-11-14T22:13:20Z)");
        assert_eq!(body["blocks"][2]["elements"][0]["text"], "<https://fusebox.example/|Fusebox>");
    }

    #[test]
    fn of_many_alerts_some_are_shown_and_no_limit_of_slacks_is_passed() {
        let mut many: Vec<_> = (1..=200).map(alert).collect();
        many[0].condition.message = "<".repeat(5_000);
        let mut note = note(Word::Raise, many);
        note.fleet = "é".repeat(300);
        let body = body(&note);
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 23);
        assert_eq!(blocks[21]["text"]["text"], "and 180 more");
        for block in blocks {
            let text = block["text"]["text"].as_str().unwrap_or_default().chars().count();
            assert!(text <= if block["type"] == "header" { 150 } else { 3_000 });
        }
    }
}
