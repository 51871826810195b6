//! Stderr that never blocks the caller. A full pipe, a stopped terminal or a slow disk would block
//! the loop, and all clients with it; so a thread of its own writes the lines. Those that it has no
//! time for are dropped, and counted.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

/// Lines that may wait for the thread: those of two seconds, as fast as they may come.
const QUEUE: usize = 200;

/// The timeout for the last lines at the end of a program.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

enum Order {
    Line(Vec<u8>),
    /// A request to report when all lines before it are written.
    Flush(SyncSender<()>),
}

/// A writer that sends its lines to the thread.
#[derive(Clone)]
pub struct LogOutput {
    orders: SyncSender<Order>,
    /// Lines that were dropped since the last line that reports it.
    lost: u64,
}

impl LogOutput {
    /// Returns an output whose thread writes to `to`. If it cannot be started, all lines are
    /// dropped.
    pub fn start(to: impl Write + Send + 'static) -> LogOutput {
        let (orders, waiting) = mpsc::sync_channel(QUEUE);
        let _ = thread::Builder::new().name("log".to_string()).spawn(|| write_all(waiting, to));
        LogOutput { orders, lost: 0 }
    }

    /// Waits until all lines are written, or for 200 ms, if they are not taken.
    pub fn finish(&self) {
        let (written, report) = mpsc::sync_channel(1);
        if self.orders.try_send(Order::Flush(written)).is_ok() {
            let _ = report.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    fn put(&self, line: Vec<u8>) -> Result<(), TrySendError<Order>> {
        self.orders.try_send(Order::Line(line))
    }
}

impl Write for LogOutput {
    /// Sends one line to the thread, or drops it; neither is an error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let report = || format!("lines of the log lost: {}\n", self.lost).into_bytes();
        if self.lost > 0 && self.put(report()).is_ok() {
            self.lost = 0;
        }
        if self.lost > 0 || self.put(line.to_vec()).is_err() {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all lines; an error does not end the thread.
fn write_all(orders: Receiver<Order>, mut to: impl Write) {
    for order in orders {
        match order {
            Order::Line(line) => _ = to.write_all(&line),
            Order::Flush(written) => _ = written.try_send(()),
        }
    }
}

#[cfg(test)]
mod tests;
