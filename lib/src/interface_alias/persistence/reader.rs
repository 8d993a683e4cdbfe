//! A manager's own program, which reads what is to be written before that is.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::files::{Files, is_there, name};
use crate::{Error, Result};

/// How long a reader may take; all of them together read in a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at whether one has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// Where directories to try something in are: in memory, for root alone, and read by no manager.
const PLACE: &str = "/run";

/// What their names begin with; the number of the process follows.
const PREFIX: &str = "lvs-host-scratch.";

/// A file as it may be; without content there is none.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) file: &'a Path,
    pub(super) content: String,
}

/// What a reader says.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It takes what it is given.
    Taken,
    /// It does not, and why.
    Refused(String),
    /// It was not asked, and why.
    NotAsked(String),
}

/// A directory to try something in, which is removed with this.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one, and removes those of processes that are not there any more.
    pub(super) fn make(files: &mut Files) -> Result<Self> {
        let place = files.at(PLACE);
        for path in files.entries(&place)? {
            let process = name(&path).strip_prefix(PREFIX).map(|process| Path::new("/proc").join(process));
            if let Some(process) = process
                && !is_there(&process)?
            {
                fs::remove_dir_all(&path).map_err(Error::path("remove", &path))?;
            }
        }
        let path = place.join(format!("{PREFIX}{}", std::process::id()));
        let make = DirBuilder::new().mode(0o700).create(&path);
        make.map_err(Error::path("make", &path))?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file of it that only root may read; returns where that is.
    pub(super) fn write(&self, path: &Path, content: &str) -> Result<PathBuf> {
        let path = self.0.join(path.strip_prefix("/").unwrap_or(path));
        let directory = path.parent().unwrap_or(&self.0);
        let mut options = OpenOptions::new();
        let written = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .and_then(|()| options.write(true).create_new(true).mode(0o600).open(&path))
            .and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(Error::path("write", &path))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program wrote, and how it ended.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) text: String,
    /// The first line of its complaints.
    pub(super) complaint: String,
}

/// Returns the first of `programs` that is there.
pub(super) fn program(files: &mut Files, programs: &[&str]) -> Result<Option<PathBuf>> {
    for program in programs.iter().map(|path| files.at(path)) {
        if is_there(&program)? {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

impl Scratch {
    /// Runs a program with these arguments and this input; returns nothing if it did not end in time.
    pub(super) fn run(&self, program: &Path, arguments: &[&OsStr], input: &str) -> Result<Option<Output>> {
        self.attempt(program, arguments, input).map_err(Error::path("run", program))
    }

    fn attempt(&self, program: &Path, arguments: &[&OsStr], input: &str) -> io::Result<Option<Output>> {
        let streams = [".in", ".out", ".err"].map(|stream| self.0.join(stream));
        fs::write(&streams[0], input)?;
        let child = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(File::open(&streams[0])?)
            .stdout(File::create(&streams[1])?)
            .stderr(File::create(&streams[2])?)
            .spawn()?;
        let Some(status) = ended(child)? else { return Ok(None) };
        let read = |path: &PathBuf| fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned());
        let complaints = read(&streams[2])?.replace(&*self.0.to_string_lossy(), "");
        let first = complaints.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Ok(Some(Output { status, text: read(&streams[1])?, complaint: first.trim().to_owned() }))
    }
}

/// Returns how a program has ended; ends it and returns nothing if it takes too long.
fn ended(mut child: Child) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() < end => sleep(PAUSE),
            None => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
        }
    }
}

/// Returns what a reader says that ends with success if it takes what it is given.
pub(super) fn verdict(output: Option<Output>) -> Verdict {
    match output {
        None => Verdict::NotAsked(format!("it did not end within {} seconds", PATIENCE.as_secs())),
        Some(output) if output.status.success() => Verdict::Taken,
        Some(output) => Verdict::Refused(output.complaint),
    }
}
