//! How the time of a task grows with its input.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::first_line;
use crate::ansible::properties::arguments;
use crate::interface_alias::persistence::properties::{forms_read, ifstate_read};
use crate::interface_alias::properties::{keepalived_read, messages_read};
use crate::kernel_module::properties::parameters_read;
use crate::sysctl::properties::{boot_read, text_edited};
use crate::virtual_service::boot::properties::rules_read;

/// How long the shorter of two inputs is.
const LENGTH: usize = 32 * 1024;

/// How often a time is taken before it counts as too long: what else the machine does only adds to it.
const TRIES: usize = 12;

/// What both may take, which hides what is not worth a look.
const FLOOR: Duration = Duration::from_millis(2);

/// What reads foreign bytes.
type Reader = fn(&[u8]);

/// Whatever reads foreign bytes takes a time in proportion to their number. The first letter of the input, from `b` on, says which of
/// it is tried; in its other lines but the first and the last `%` is a number that counts them.
pub fn linear_time(data: &[u8]) {
    const READERS: [(&str, Reader); 9] = [
        ("arguments", arguments),
        ("sysctl's files", text_edited),
        ("a boot's files", boot_read),
        ("files of managers", forms_read),
        ("ifstate", ifstate_read),
        ("keepalived's files", keepalived_read),
        ("messages", messages_read),
        ("rules of ipvsadm", rules_read),
        ("parameters of modules", parameters_read),
    ];
    let Some((choice, text)) = data.split_first() else { return };
    let (what, read) = READERS[usize::from(choice.wrapping_sub(b'b')) % READERS.len()];
    is_linear(what, text, read);
}

/// Fails if an input of twice the length takes `read` more than two and a half times as long.
fn is_linear(what: &str, text: &[u8], read: impl Fn(&[u8])) {
    let text = String::from_utf8_lossy(text);
    let copies = LENGTH.div_ceil(text.len().max(1));
    let (one, two) = (grown(&text, copies), grown(&text, 2 * copies));
    let factor = 2.5 * two.len() as f64 / (2 * one.len()) as f64;
    let least = |text| (0..3).map(|_| taken(text, &read)).min().unwrap_or_default();
    let (mut short, mut long) = (least(&one), Duration::MAX);
    for _ in 0..TRIES {
        long = long.min(taken(&two, &read));
        if long < FLOOR + short.mul_f64(factor) {
            return;
        }
        short = short.min(taken(&one, &read));
    }
    panic!("{what}: {} bytes take {short:?}, and {} take {long:?}", one.len(), two.len());
}

fn taken(text: &str, read: &impl Fn(&[u8])) -> Duration {
    let start = used();
    read(text.as_bytes());
    used().saturating_sub(start)
}

/// Returns what this thread has had of a processor.
fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Returns a text with its lines but the first and the last `copies` times, in which `%` is the number of the copy.
fn grown(text: &str, copies: usize) -> String {
    let (head, rest) = first_line(text);
    let (middle, tail) = rest.rsplit_once('\n').unwrap_or((rest, ""));
    let body: String = (0..copies).map(|copy| middle.replace('%', &copy.to_string()) + "\n").collect();
    format!("{head}\n{body}{tail}")
}
