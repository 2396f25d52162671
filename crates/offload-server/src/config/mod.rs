//! Settings: one embedded file holds every key, its default and its meaning; a file, the environment and flags
//! lie over it.

mod layers;
mod settings;

pub use layers::{ConfigError, Layers};
pub use settings::{
    Admit, Auth, Cache, Callbacks, Config, Devices, Dispatch, Log, Place, Run, Server, Settle, Store, Tasks,
};

/// The defaults, with every key's unit and meaning.
pub const DEFAULTS: &str = include_str!("../../../../config/offload.toml");
