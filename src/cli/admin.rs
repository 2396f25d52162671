//! `keys` and `tenants`: administration of a data directory, beside a running server or without one.

use clap::Subcommand;
use offload_pipeline::records::{ApiKey, Stores, Tenant};
use offload_server::auth::{KeyRequest, import_key, known_scopes, new_key, unix_now};
use offload_server::callbacks::replace_secret;
use offload_server::callbacks::signature::text_of;
use offload_server::config::Config;
use offload_server::service::vault;
use offload_stores::DataDir;
use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

type Done = Result<ExitCode, Box<dyn Error>>;

/// Keys of one page of a listing.
const PAGE: usize = 1000;

#[derive(Subcommand)]
pub enum Keys {
    /// Make a key and print it, this once
    Create(KeyFlags),
    /// Take a key made elsewhere, from standard input
    Import(KeyFlags),
    /// List a tenant's keys
    List {
        /// The tenant
        #[arg(long)]
        tenant: String,
    },
    /// Revoke a key and its tokens
    Revoke {
        /// The key's id (key_…)
        key_id: String,
    },
}

#[derive(clap::Args)]
pub struct KeyFlags {
    /// The tenant
    #[arg(long)]
    tenant: String,
    /// What the key is for
    #[arg(long)]
    name: String,
    /// The user
    #[arg(long, default_value = "")]
    user: String,
    /// Scopes, separated by commas; all but administration when absent
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    /// Days until it expires
    #[arg(long)]
    expires_in_days: Option<u64>,
}

impl KeyFlags {
    fn request(self) -> KeyRequest {
        let scopes = if self.scopes.is_empty() {
            let all = known_scopes().iter().filter(|s| **s != offload_server::auth::ADMIN);
            all.map(ToString::to_string).collect()
        } else {
            self.scopes
        };
        KeyRequest {
            tenant_id: self.tenant,
            user_id: self.user,
            name: self.name,
            scopes,
            expires_at: self.expires_in_days.map(|d| unix_now().saturating_add(d.saturating_mul(86_400))),
        }
    }
}

fn open(config: &Config) -> Result<DataDir, Box<dyn Error>> {
    Ok(DataDir::open(Path::new(&config.store.data_dir))?)
}

fn line(k: &ApiKey) {
    let state = match (k.revoked_at, k.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= unix_now() => "expired",
        _ => "live",
    };
    println!("{}  …{}  {state:8}  {}  {}", k.key_id, k.last_four, k.name, k.scopes.join(","));
}

impl Keys {
    /// Runs the command.
    pub fn run(self, config: &Config) -> Done {
        let stores = open(config)?;
        match self {
            Keys::Create(flags) => {
                let (key, text) = new_key(flags.request())?;
                let key = stores.keys().create(&key)?;
                println!("key id: {}\napi key: {text}", key.key_id);
            }
            Keys::Import(flags) => {
                let mut text = String::new();
                std::io::stdin().take(4096).read_to_string(&mut text)?;
                let key = stores.keys().create(&import_key(flags.request(), text.trim())?)?;
                println!("key id: {}", key.key_id);
            }
            Keys::List { tenant } => {
                let mut cursor = None;
                loop {
                    let page = stores.keys().list(&tenant, cursor.as_deref(), PAGE)?;
                    page.items.iter().for_each(line);
                    cursor = page.next;
                    if cursor.is_none() {
                        break;
                    }
                }
            }
            Keys::Revoke { key_id } => {
                stores.keys().revoke(&key_id, unix_now())?;
                println!("revoked {key_id}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Subcommand)]
pub enum Tenants {
    /// Make a tenant
    Create {
        /// Its id: lowercase letters, digits, - and _
        id: String,
        /// Its quota as JSON; what is not named has its default
        #[arg(long, value_name = "JSON")]
        quota: Option<String>,
    },
    /// List the tenants
    List,
    /// Show a tenant as JSON
    Show {
        /// Its id
        id: String,
    },
    /// Replace a tenant's quota; what is not named keeps its value
    SetQuota {
        /// Its id
        id: String,
        /// The new values as JSON
        quota: String,
    },
    /// Make a new secret for a tenant's callbacks and print it, this once
    WebhookSecret {
        /// Its id
        id: String,
    },
    /// Delete a tenant, its keys and its tasks
    Delete {
        /// Its id
        id: String,
    },
}

fn absent(id: &str) -> String {
    format!("there is no tenant {id}")
}

impl Tenants {
    /// Runs the command.
    pub fn run(self, config: &Config) -> Done {
        let stores = open(config)?;
        let tenants = stores.tenants();
        match self {
            Tenants::Create { id, quota } => {
                let mut tenant = Tenant::new(&id, unix_now());
                if let Some(json) = quota {
                    tenant.quota = serde_json::from_str(&json)?;
                }
                tenants.create(&tenant)?;
                println!("created {id}");
            }
            Tenants::List => {
                let mut cursor = None;
                loop {
                    let page = tenants.list(cursor.as_deref(), PAGE)?;
                    for t in &page.items {
                        println!("{}{}", t.id, if t.suspended { "  suspended" } else { "" });
                    }
                    cursor = page.next;
                    if cursor.is_none() {
                        break;
                    }
                }
            }
            Tenants::Show { id } => {
                let tenant = tenants.get(&id)?.ok_or_else(|| absent(&id))?;
                println!("{}", serde_json::to_string_pretty(&tenant)?);
            }
            Tenants::SetQuota { id, quota } => {
                let mut tenant = tenants.get(&id)?.ok_or_else(|| absent(&id))?;
                let mut merged = serde_json::to_value(&tenant.quota)?;
                let changes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&quota)?;
                if let Some(map) = merged.as_object_mut() {
                    map.extend(changes);
                }
                tenant.quota = serde_json::from_value(merged)?;
                tenants.update(&tenant)?;
                println!("changed {id}");
            }
            Tenants::WebhookSecret { id } => {
                tenants.get(&id)?.ok_or_else(|| absent(&id))?;
                let secret = replace_secret(&stores, &vault(config)?, &id)?;
                println!("webhook secret: {}", text_of(&secret));
            }
            Tenants::Delete { id } => {
                let tenant = tenants.get(&id)?.ok_or_else(|| absent(&id))?;
                tenants.delete(&id, tenant.revision)?;
                println!("deleted {id}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
