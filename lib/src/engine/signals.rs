//! The signals that a dropped connection sends.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::{Error, Result};

/// Keeps those signals away until it is dropped, so that no write is cut off.
pub(super) struct HeldSignals {
    /// What a dropped connection, a person or a supervisor sends to end a run.
    ending: SigSet,
    after: SigSet,
}

impl HeldSignals {
    pub(super) fn hold() -> Result<Self> {
        let ending: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
        // It comes with a write beyond the limit of a file's size, which then fails instead (setrlimit(2)); it stays held, as it
        // would come afterwards.
        let held = ending | Signal::SIGXFSZ;
        let mut after =
            held.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(Error::io("hold back", "signals"))?;
        after.add(Signal::SIGXFSZ);
        Ok(Self { ending, after })
    }

    /// Waits for a moment; returns an error if a signal came meanwhile, or nobody reads the answer any more, so that what
    /// was done is put back.
    pub(super) fn let_through_for(&self, pause: Duration) -> Result<()> {
        let failed = || Error::io::<nix::Error>("wait for", "signals");
        let signals = SignalFd::with_flags(&self.ending, SfdFlags::SFD_CLOEXEC).map_err(failed())?;
        let answer = std::io::stdout();
        // A pipe or socket whose other end is closed is told although nothing is asked for (poll(2)).
        let mut watched = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(answer.as_fd(), PollFlags::empty()),
        ];
        poll(&mut watched, PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX)).map_err(failed())?;
        let [is_told_to_end, is_alone] = watched.map(|watched| watched.any().unwrap_or(true));
        if is_told_to_end {
            // Taken off, or it would end the run before that has put back what it wrote and answered.
            let name = signals
                .read_signal()
                .map_err(failed())?
                .and_then(|signal| i32::try_from(signal.ssi_signo).ok());
            let name =
                name.and_then(|number| Signal::try_from(number).ok()).map_or("a signal", Signal::as_str);
            return Err(Error::invalid(format!("cannot wait any longer: {name} told the run to end")));
        }
        match is_alone {
            true => Err(Error::invalid("cannot wait any longer: nobody reads the answer any more")),
            false => Ok(()),
        }
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // A mask like it was in force a moment ago; the kernel takes it again.
        let _ = self.after.thread_set_mask();
    }
}
