//! Defaults, file, environment and flags, one over the other, with the origin of every value kept.

use super::{Config, DEFAULTS};
use offload_api::nearest;
use offload_devices::test_device::Faults;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Environment variables of settings start so.
const PREFIX: &str = "HELIOSDB_GPU__";
/// A section whose keys are the operator's own.
const OPEN_SECTION: &str = "cache.ttl_seconds_by_type.";

/// Settings that cannot be used; the text names the key, where it came from, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Values by dotted key, each with its origin.
pub struct Layers {
    values: BTreeMap<String, (Value, String)>,
}

impl Default for Layers {
    fn default() -> Self {
        // The embedded file is parsed in a test; an empty table would make every key unknown.
        let table: Table = DEFAULTS.parse().unwrap_or_default();
        let mut values = BTreeMap::new();
        flatten("", &Value::Table(table), &mut |key, value| {
            values.insert(key, (value, "default".to_string()));
        });
        Layers { values }
    }
}

fn flatten(prefix: &str, value: &Value, each: &mut impl FnMut(String, Value)) {
    match value {
        Value::Table(table) => {
            for (k, v) in table {
                let key = if prefix.is_empty() { k.clone() } else { format!("{prefix}.{k}") };
                flatten(&key, v, each);
            }
        }
        leaf => each(prefix.to_string(), leaf.clone()),
    }
}

impl Layers {
    /// Lays a configuration file over what is there.
    ///
    /// # Errors
    /// When the text is no TOML, or a key is unknown or of the wrong type.
    pub fn file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|e| ConfigError(format!("{name}: {e}")))?;
        let mut leaves = Vec::new();
        flatten("", &Value::Table(table), &mut |k, v| leaves.push((k, v)));
        leaves.into_iter().try_for_each(|(k, v)| self.set(&k, v, name))
    }

    /// Lays environment variables over what is there.
    ///
    /// # Errors
    /// When one names an unknown key or has a value of the wrong type.
    pub fn environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, text) in variables {
            if let Some(rest) = name.strip_prefix(PREFIX) {
                let key = rest.to_lowercase().replace("__", ".");
                self.text(&key, &text, &format!("environment {name}"))?;
            }
        }
        Ok(())
    }

    /// Lays one value, given as text, over what is there.
    ///
    /// # Errors
    /// When the key is unknown or the text is of the wrong type.
    pub fn text(&mut self, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        let wanted = self.values.get(key).map(|(v, _)| v.clone());
        let value = match wanted {
            Some(Value::String(_)) | None => Value::String(text.to_string()),
            Some(_) => {
                let parsed: Result<Table, _> = format!("v = {text}").parse();
                parsed.ok().and_then(|mut t| t.remove("v")).unwrap_or_else(|| Value::String(text.to_string()))
            }
        };
        self.set(key, value, origin)
    }

    fn set(&mut self, key: &str, value: Value, origin: &str) -> Result<(), ConfigError> {
        if let Some(name) = key.strip_prefix(OPEN_SECTION) {
            if !value.is_integer() {
                return Err(ConfigError(format!("{origin}: {OPEN_SECTION}{name} must be an integer")));
            }
        } else {
            let Some((default, _)) = self.values.get(key) else {
                let hint = nearest(key, self.values.keys().map(String::as_str))
                    .map(|n| format!("; did you mean {n}?"))
                    .unwrap_or_default();
                return Err(ConfigError(format!("{origin}: unknown key {key}{hint}")));
            };
            if default.type_str() != value.type_str() {
                return Err(ConfigError(format!(
                    "{origin}: {key} must be of type {}, it is of type {}",
                    default.type_str(),
                    value.type_str()
                )));
            }
            if value.as_integer().is_some_and(|i| i < 0) {
                return Err(ConfigError(format!("{origin}: {key} must not be negative")));
            }
        }
        self.values.insert(key.to_string(), (value, origin.to_string()));
        Ok(())
    }

    /// The settings as types.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub fn build(&self) -> Result<Config, ConfigError> {
        let mut root = Table::new();
        for (key, (value, _)) in &self.values {
            let mut table = &mut root;
            let mut parts: Vec<&str> = key.splitn(3, '.').collect();
            let leaf = parts.pop().unwrap_or_default();
            for part in parts {
                let next = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(next) = next else {
                    return Err(ConfigError(format!("{key}: {part} is not a section")));
                };
                table = next;
            }
            table.insert(leaf.to_string(), value.clone());
        }
        let config: Config = root.try_into().map_err(|e| ConfigError(format!("settings: {e}")))?;
        for (key, ok, rule) in [
            ("run.niceness", (0..=19).contains(&config.run.niceness), "from 0 to 19"),
            ("server.max_batch_items", config.server.max_batch_items > 0, "at least 1"),
            (
                "auth.token_ttl_seconds",
                (1..=86_400).contains(&config.auth.token_ttl_seconds),
                "from 1 to 86400",
            ),
            (
                "auth.rotate_after_days",
                (1..=3_650).contains(&config.auth.rotate_after_days),
                "from 1 to 3650",
            ),
            ("auth.refresh_ms", config.auth.refresh_ms > 0, "at least 1"),
            (
                "admit.default_timeout_ms",
                (1..=86_400_000).contains(&config.admit.default_timeout_ms),
                "from 1 to 86400000",
            ),
            ("devices.resident_percent", config.devices.resident_percent <= 90, "from 0 to 90"),
            (
                "devices.isolated_workers",
                config.devices.isolated_bytes(100).is_some(),
                "with devices.isolated_percent each at most 90 percent of a device together",
            ),
            ("devices.probe_timeout_ms", config.devices.probe_timeout_ms > 0, "at least 1"),
            ("devices.start_timeout_ms", config.devices.start_timeout_ms > 0, "at least 1"),
            (
                "devices.test_device_faults",
                Faults::parse(&config.devices.test_device_faults).is_ok(),
                "parts such as lost@97 or call/upload@10",
            ),
            ("dispatch.max_attempts", config.dispatch.max_attempts > 0, "at least 1"),
            ("log.format", ["text", "json"].contains(&config.log.format.as_str()), "text or json"),
        ] {
            if !ok {
                let origin = self.values.get(key).map_or("", |(_, o)| o.as_str());
                return Err(ConfigError(format!("{origin}: {key} must be {rule}")));
            }
        }
        Ok(config)
    }

    /// Every key with its value and origin. No setting is a secret so far; keys that will be are masked here.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for (key, (value, origin)) in &self.values {
            let shown = if key.contains("password") || key.contains("secret") || key.ends_with("url") {
                "\"***\"".to_string()
            } else {
                value.to_string()
            };
            out.push_str(&format!("{key} = {shown}  # {origin}\n"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_complete_and_the_layers_lie_in_order() {
        let mut layers = Layers::default();
        assert_eq!(layers.build().unwrap().server.listen, "0.0.0.0:8080");
        layers
            .file("f.toml", "[cache]\nttl_seconds = 5\n[cache.ttl_seconds_by_type]\nmatrix_qr = 9\n")
            .unwrap();
        layers
            .environment(
                [("HELIOSDB_GPU__CACHE__TTL_SECONDS".into(), "7".into()), ("HOME".into(), "/".into())]
                    .into_iter(),
            )
            .unwrap();
        layers.text("server.listen", "127.0.0.1:0", "flag --listen").unwrap();
        let config = layers.build().unwrap();
        assert_eq!((config.cache.ttl_seconds, config.cache.ttl_seconds_by_type["matrix_qr"]), (7, 9));
        assert_eq!(config.server.listen, "127.0.0.1:0");
        assert!(
            layers.print().contains("cache.ttl_seconds = 7  # environment HELIOSDB_GPU__CACHE__TTL_SECONDS")
        );
    }

    #[test]
    fn wrong_keys_types_and_ranges_are_named() {
        let refuse = |text: &str| {
            let mut layers = Layers::default();
            layers.file("f.toml", text).and_then(|()| layers.build().map(drop)).unwrap_err().0
        };
        assert_eq!(
            refuse("[cache]\nttl_second = 5"),
            "f.toml: unknown key cache.ttl_second; did you mean cache.ttl_seconds?"
        );
        assert_eq!(
            refuse("[cache]\nttl_seconds = \"x\""),
            "f.toml: cache.ttl_seconds must be of type integer, it is of type string"
        );
        assert_eq!(refuse("[run]\nniceness = 40"), "f.toml: run.niceness must be from 0 to 19");
        assert_eq!(refuse("[cache]\nmax_bytes = -1"), "f.toml: cache.max_bytes must not be negative");
        assert!(refuse("x").starts_with("f.toml: "));
    }
}
