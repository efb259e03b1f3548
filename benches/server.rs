//! `barrow serve` as a process of its own: the real program, over loopback.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program: `--barrow PATH`, or what a release build left in the target folder of this one.
///
/// # Panics
/// It is not there.
pub fn program() -> PathBuf {
    let found = crate::arguments::optional("--barrow").unwrap_or_else(|| {
        let own = std::env::current_exe().expect("Linux knows");
        let release = own.parent().and_then(Path::parent).expect("it lies in release/deps");
        release.join("barrow")
    });
    assert!(found.is_file(), "{}: build it with `cargo build --release`", found.display());
    found
}

/// A running server; killed when dropped.
pub struct Server {
    process: Child,
    /// What it said when it was ready.
    ready: String,
    /// Where it listens.
    pub address: String,
}

impl Server {
    /// Starts it on the store in `data` and waits until it takes requests.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with settings: names of environment variables and their values.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_with(data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.arg("serve").arg("--data").arg(data).args([
            "--http",
            "127.0.0.1:0",
            "--feed",
            "127.0.0.1:0",
        ]);
        command.env("BARROW_LOG_LEVEL", "warn").envs(settings.iter().copied());
        Self::run(command)
    }

    /// Runs a program that says `ready http=ADDRESS` and goes on.
    ///
    /// # Panics
    /// It does not say so.
    pub fn run(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut process = command.spawn().expect("the program runs");
        let mut ready = String::new();
        let out = process.stdout.take().expect("invariant: piped");
        BufReader::new(out).read_line(&mut ready).expect("the program says when it is ready");
        let address = said(&ready, "http=");
        Self { process, address, ready }
    }

    /// What stands behind `name` in the line that said that it is ready: `feed=` is the address of
    /// the feed.
    ///
    /// # Panics
    /// It did not say.
    pub fn said(&self, name: &str) -> String {
        said(&self.ready, name)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as an operator would, and waits.
    ///
    /// # Panics
    /// It does not end well.
    pub fn stop(mut self) {
        let kill = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(kill.expect("there is a kill").success(), "the server is gone");
        let status = self.process.wait().expect("it is ours");
        assert!(status.success(), "the server ended with {status}");
    }
}

fn said(ready: &str, name: &str) -> String {
    let found = ready.split_whitespace().find_map(|word| word.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name} in {ready:?}")).to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
