//! Starts worker processes.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

/// How a worker is started: the words that follow are the worker's own.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
    /// What is set in its environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl Launch {
    /// This program's own command `worker`.
    ///
    /// # Errors
    /// When the system does not say what this program is.
    pub fn own() -> io::Result<Launch> {
        let path = std::env::current_exe()?;
        // The file may have been replaced since; the link still leads to the one that runs.
        let program = if path.exists() { path } else { "/proc/self/exe".into() };
        Ok(Launch { program, arguments: vec!["worker".into()], environment: Vec::new() })
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }
}

type Request = (Command, Sender<io::Result<Child>>);

/// Starts a process that is told when this one ends. The system tells it when the *thread* that started it ends, so
/// one thread that lives as long as the process starts them all.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: Mutex<Option<Sender<Request>>> = Mutex::new(None);
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    let requests = match &*spawner {
        Some(requests) => requests.clone(),
        None => {
            let (sender, inbox) = channel::<Request>();
            std::thread::Builder::new().name("spawner".into()).spawn(move || {
                while let Ok((mut command, answer)) = inbox.recv() {
                    // Whoever asked waits for it.
                    let _ = answer.send(command.spawn());
                }
            })?;
            spawner.insert(sender).clone()
        }
    };
    drop(spawner);
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    let (sender, answer) = channel();
    requests.send((command, sender)).map_err(|_| io::Error::other("no spawner"))?;
    answer.recv().map_err(gone)?
}
