//! Stderr for who must not wait. A pipe that is full, a terminal that is stopped or a slow disk
//! would hold up the loop, and all clients with it; so a thread of its own writes the lines, and
//! what it has no time for is left out, and counted.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

/// Lines that may wait for the thread: those of two seconds, as fast as they may come.
const QUEUE: usize = 200;

/// How long the end of a program waits for its last lines to be taken.
const PATIENCE: Duration = Duration::from_millis(200);

enum Order {
    Line(Vec<u8>),
    /// To be answered when all lines before it are written.
    Report(SyncSender<()>),
}

/// The way to the thread.
#[derive(Clone)]
pub struct LogOutput {
    orders: SyncSender<Order>,
    /// Lines that there was no room for, and nobody was told of yet.
    lost: u64,
}

impl LogOutput {
    /// Starts the thread, which writes to `to`. Without a thread, all lines are lost.
    pub fn start(to: impl Write + Send + 'static) -> LogOutput {
        let (orders, waiting) = mpsc::sync_channel(QUEUE);
        let _ = thread::Builder::new().name("log".to_string()).spawn(|| write_all(waiting, to));
        LogOutput { orders, lost: 0 }
    }

    /// Waits until all lines are written, or for a moment, if nobody takes them.
    pub fn finish(&self) {
        let (written, report) = mpsc::sync_channel(1);
        if self.orders.try_send(Order::Report(written)).is_ok() {
            let _ = report.recv_timeout(PATIENCE);
        }
    }

    fn put(&self, line: Vec<u8>) -> Result<(), TrySendError<Order>> {
        self.orders.try_send(Order::Line(line))
    }
}

impl Write for LogOutput {
    /// Has one line written, or leaves it out; neither is an error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let told = || format!("lines of the log lost: {}\n", self.lost).into_bytes();
        if self.lost > 0 && self.put(told()).is_ok() {
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

/// That nobody can read it is no reason to end.
fn write_all(orders: Receiver<Order>, mut to: impl Write) {
    for order in orders {
        match order {
            Order::Line(line) => _ = to.write_all(&line),
            Order::Report(written) => _ = written.try_send(()),
        }
    }
}

#[cfg(test)]
mod tests;
