//! The commands: parsing, and the exit codes 0 (fine), 1 (failed) and 2 (usage).

mod admin;
mod bench;
mod check;
mod device;

use clap::{Args, Parser, Subcommand};
use offload_devices::worker::Launch;
use offload_server::config::{Config, ConfigError, DEFAULTS, Layers};
use offload_server::devices;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "heliosdb-gpu-offload",
    version,
    about = "Runs a database's compute-heavy work on a GPU, or well on the CPU"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of tenants, keys and the audit log
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Log format
    #[arg(long, global = true, value_parser = ["json", "text"])]
    log: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service
    Serve(Serve),
    /// Run real work in-process and show the answers
    Demo,
    /// Run every operation's worked examples, and say what was found on this machine
    Check(check::Check),
    /// Measure operations and the service
    Bench(bench::Bench),
    /// A bare echo server, for `bench` to compare with
    #[command(hide = true)]
    Echo {
        #[command(flatten)]
        listen: Listen,
        /// Bytes of every answer
        #[arg(long)]
        answer_bytes: usize,
    },
    /// A process that drives one device, or asks a driver for its devices; started by the service
    #[command(hide = true)]
    Worker {
        /// The device (cuda:0)
        #[arg(long, conflicts_with = "probe", required_unless_present = "probe")]
        device: Option<String>,
        /// The driver to ask (cuda)
        #[arg(long)]
        probe: Option<String>,
        /// What the service says, as JSON
        #[arg(long)]
        options: String,
    },
    /// API keys
    #[command(subcommand)]
    Keys(admin::Keys),
    /// Tenants
    #[command(subcommand)]
    Tenants(admin::Tenants),
    /// Print the settings in force and where each comes from
    Config {
        /// Print the file of defaults instead
        #[arg(long)]
        defaults: bool,
    },
}

#[derive(Args)]
struct Serve {
    /// For trying out: loopback only, and a key for the tenant dev is made and printed
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    listen: Listen,
    /// Print the settings in force and where each comes from, and stop
    #[arg(long)]
    print_config: bool,
}

#[derive(Args)]
struct Listen {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Unix socket to listen on as well
    #[arg(long, value_name = "PATH")]
    unix: Option<String>,
}

impl Listen {
    fn lay_over(&self, layers: &mut Layers) -> Result<(), ConfigError> {
        if let Some(listen) = &self.listen {
            layers.text("server.listen", listen, "flag --listen")?;
        }
        if let Some(path) = &self.unix {
            layers.text("server.unix_socket", path, "flag --unix")?;
        }
        Ok(())
    }
}

impl Common {
    fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers = Layers::default();
        if let Some(path) = &self.config {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| ConfigError(format!("{name}: {e}")))?;
            layers.file(&name, &text)?;
        }
        layers.environment(std::env::vars())?;
        if let Some(dir) = &self.data_dir {
            layers.text("store.data_dir", dir, "flag --data-dir")?;
        }
        if let Some(format) = &self.log {
            layers.text("log.format", format, "flag --log")?;
        }
        Ok(layers)
    }

    fn config(&self) -> Result<Config, ConfigError> {
        self.layers()?.build()
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("heliosdb-gpu-offload: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match cli.command {
        Command::Serve(flags) => serve(&cli.common, &flags),
        Command::Demo => Ok(crate::demo::run()),
        Command::Check(check) => check.run(&cli.common.config()?),
        Command::Bench(bench) => bench.run(&cli.common.config()?),
        Command::Echo { listen, answer_bytes } => {
            let mut layers = cli.common.layers()?;
            listen.lay_over(&mut layers)?;
            offload_server::echo::run(&layers.build()?, answer_bytes)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Worker { device, probe, options } => {
            if let Some(driver) = probe {
                println!("{}", devices::probe(&driver, &options)?);
            } else if let Some(device) = device {
                devices::work(offload_ops::registry(), &device, &options)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys(keys) => keys.run(&cli.common.config()?),
        Command::Tenants(tenants) => tenants.run(&cli.common.config()?),
        Command::Config { defaults } => {
            if defaults {
                print!("{DEFAULTS}");
            } else {
                print!("{}", cli.common.layers()?.print());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn serve(common: &Common, flags: &Serve) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut layers = common.layers()?;
    if flags.dev {
        // Below every explicit word: a listen address given by flag wins, and is then held to loopback.
        layers.text("server.listen", "127.0.0.1:8080", "flag --dev")?;
    }
    flags.listen.lay_over(&mut layers)?;
    if flags.print_config {
        print!("{}", layers.print());
        return Ok(ExitCode::SUCCESS);
    }
    // Work that runs on a connection's own thread must stay on it: the shared pool gets no threads to spread to.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let workers = Some(Launch::own()?);
    offload_server::serve::serve(layers.build()?, offload_ops::registry(), flags.dev, workers)?;
    Ok(ExitCode::SUCCESS)
}
