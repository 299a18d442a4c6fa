//! What holding a document against a schema can cost, told from the schema alone.
//!
//! Schemas come from callers. One of a few hundred bytes can ask for more work than a thread has time for, or for more
//! stack than it has: references fan out, and lead round in circles. So a schema is weighed before it is compiled, and
//! a document's size is held against that weight before it is checked. Pure: it compiles and checks nothing.

use serde_json::Value;

use super::graph::{Graph, Part, SchemaFault};

/// Parts that look at one and the same value, one inside the other.
const MAX_NESTED: u32 = 128;
/// Parts that look at one and the same value.
const MAX_AT_ONCE: u64 = 1024;
/// Levels of a document; no reader here goes deeper.
const MAX_LEVELS: usize = 128;

/// How a schema's cost grows with a document's depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weight {
    /// For documents of 0, 1, 2, … levels; deeper ones cost as the last.
    levels: Vec<Level>,
    /// Schemas within it.
    parts: u64,
    /// Patterns within it.
    pub(super) patterns: usize,
}

/// The cost of a document of a certain depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Level {
    /// Parts that may look at the values on the way to one leaf.
    pub(super) visits: u64,
    /// Parts that are open at once, one inside the other.
    pub(super) nested: u32,
}

impl Weight {
    /// Weighs `schema`.
    ///
    /// # Errors
    /// It is too large, refers to what is not within it, or can never be done with a value.
    pub(super) fn of(schema: &Value) -> Result<Self, SchemaFault> {
        let graph = Graph::of(schema)?;
        let order = graph.innermost_first()?;
        let mut levels: Vec<Level> = Vec::new();
        let mut below = vec![Costs::default(); graph.parts.len()];
        for level in 0..=MAX_LEVELS {
            let mut costs = vec![Costs::default(); graph.parts.len()];
            for &part in &order {
                costs[part] = graph.parts[part].costs(&costs, &below);
            }
            levels.push(costs[0].most());
            if level == 0 && (levels[0].nested > MAX_NESTED || levels[0].visits > MAX_AT_ONCE) {
                let message = format!("looks at one value in more than {MAX_NESTED} steps, or {MAX_AT_ONCE} ways");
                return Err(SchemaFault { pointer: String::new(), message });
            }
            if costs == below {
                break;
            }
            below = costs;
        }
        Ok(Self { levels, parts: graph.parts.len() as u64, patterns: graph.patterns })
    }

    /// The cost of a document of so many levels.
    pub(super) fn at(&self, levels: usize) -> Level {
        self.levels.get(levels).or(self.levels.last()).copied().unwrap_or_default()
    }

    /// Schemas within it.
    pub(super) const fn parts(&self) -> u64 {
        self.parts
    }
}

/// The costs of one part: of an object, of a list. What applies to the one does not apply to the other.
type Costs = [Level; 2];

trait Most {
    fn most(&self) -> Level;
}

impl Most for Costs {
    fn most(&self) -> Level {
        Level { visits: self[0].visits.max(self[1].visits), nested: self[0].nested.max(self[1].nested) }
    }
}

impl Level {
    fn add(&mut self, other: Self) {
        self.visits = self.visits.saturating_add(other.visits);
        self.nested = self.nested.max(other.nested);
    }
}

impl Part {
    fn costs(&self, here: &[Costs], below: &[Costs]) -> Costs {
        [0, 1].map(|kind| {
            let mut cost = Level::default();
            for part in &self.same {
                cost.add(here[*part][kind]);
            }
            if self.twice {
                cost.visits = cost.visits.saturating_mul(2);
            }
            for part in &self.any[kind] {
                cost.add(below[*part].most());
            }
            let named = self.one_of[kind].iter().map(|part| below[*part].most());
            cost.add(named.fold(Level::default(), |most, cost| [most, cost].most()));
            Level { visits: cost.visits.saturating_add(1), nested: cost.nested.saturating_add(1) }
        })
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "documents are written where they are used")]
mod tests {
    use serde_json::{Map, json};

    use super::{
        super::graph::{MAX_PARTS, MAX_PATTERNS},
        *,
    };

    fn weight(schema: Value) -> Weight {
        Weight::of(&schema).unwrap()
    }

    fn fault(schema: Value) -> SchemaFault {
        Weight::of(&schema).unwrap_err()
    }

    #[test]
    fn a_plain_schema_costs_what_its_deepest_path_does() {
        let plain = weight(json!({
            "type": "object",
            "properties": { "a": { "items": { "type": "string", "pattern": "x" } }, "b": { "allOf": [{}, {}] } },
        }));
        assert_eq!(plain.at(0), Level { visits: 1, nested: 1 });
        assert_eq!(plain.at(1), Level { visits: 4, nested: 3 });
        assert_eq!(plain.at(100), Level { visits: 4, nested: 3 }, "deeper than the schema costs no more");
        assert_eq!((plain.parts(), plain.patterns), (6, 1));
    }

    #[test]
    fn a_tree_costs_a_step_a_level() {
        let tree = json!({ "$defs": { "node": { "properties": { "children": { "items": { "$ref": "#/$defs/node" } } } } }, "$ref": "#/$defs/node" });
        let tree = weight(tree);
        assert_eq!((tree.at(0).visits, tree.at(2).visits, tree.at(4).visits), (2, 5, 8));
        assert_eq!(tree.at(500), tree.at(MAX_LEVELS));
        let any = json!({ "anyOf": [{ "items": { "$ref": "#" } }, { "additionalProperties": { "$ref": "#" } }] });
        assert!(weight(any).at(MAX_LEVELS).visits < 600, "a value is an object or a list, not both");
    }

    #[test]
    fn references_that_fan_out_are_seen() {
        let mut definitions = Map::new();
        for number in 0..30 {
            let next = json!({ "$ref": format!("#/$defs/a{}", number + 1) });
            definitions.insert(format!("a{number}"), json!({ "anyOf": [next, next] }));
        }
        definitions.insert("a30".into(), json!({ "type": "string" }));
        let bomb = fault(json!({ "$defs": definitions, "$ref": "#/$defs/a0" }));
        assert!(bomb.message.contains("1024"), "{bomb:?}");

        let twice = json!({ "$ref": "#/$defs/n", "$defs": { "n": {
            "properties": { "a": { "$ref": "#/$defs/n" } }, "allOf": [{ "properties": { "a": { "$ref": "#/$defs/n" } } }] } } });
        let twice = weight(twice);
        assert!(twice.at(3).visits < 100 && twice.at(100).visits > 1 << 60);
        let again =
            json!({ "unevaluatedProperties": false, "allOf": [{ "unevaluatedProperties": false, "allOf": [{}] }] });
        assert_eq!(weight(again).at(0).visits, 1 + 2 * (1 + 2));
    }

    #[test]
    fn a_schema_that_cannot_be_weighed_is_refused_with_its_place() {
        for (schema, pointer) in [
            (json!({ "properties": { "a/b": { "$ref": "https://example.com/x" } } }), "/properties/a~1b/$ref"),
            (json!({ "$ref": "other.json" }), "/$ref"),
            (json!({ "$ref": "#/$defs/none" }), "/$ref"),
            (json!({ "items": { "$id": "https://example.com/x" } }), "/items/$id"),
            (json!({ "$ref": "#" }), ""),
            (
                json!({ "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
                "/$defs/a",
            ),
        ] {
            assert_eq!(fault(schema.clone()).pointer, pointer, "{schema}");
        }
        let wide: Vec<Value> = (0..=MAX_PARTS).map(|_| json!({})).collect();
        assert!(fault(json!({ "prefixItems": wide })).message.contains("4096"));
        let long = json!({ "properties": { "x".repeat(100_000): { "prefixItems": vec![json!({ "type": "string" }); 1000] } } });
        assert!(fault(long).message.contains("names too long"));
        let patterns: Map<String, Value> = (0..=MAX_PATTERNS).map(|n| (format!("p{n}"), json!({}))).collect();
        assert!(fault(json!({ "patternProperties": patterns })).message.contains("64"));
    }

    #[test]
    fn references_by_anchor_and_in_percent_signs_are_followed() {
        let schema = json!({
            "$defs": { "a b": { "type": "string" }, "c": { "$anchor": "see", "allOf": [{}] } },
            "properties": { "x": { "$ref": "#/$defs/a%20b" }, "y": { "$ref": "#see" } },
        });
        assert_eq!(weight(schema).at(1), Level { visits: 4, nested: 4 });
    }
}
