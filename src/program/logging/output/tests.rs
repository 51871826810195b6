//! Tests of `output.rs`: lines that nobody takes for now.

use super::*;

/// What takes a line only once it may, and says first that one has come.
struct Held {
    began: mpsc::Sender<Vec<u8>>,
    /// Once nobody is at its other end, all lines are taken.
    go: Receiver<()>,
}

impl Write for Held {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.began.send(line.to_vec());
        let _ = self.go.recv();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_nobody_takes_is_left_out_and_told_of() {
    let ((began, lines), (hold, go)) = (mpsc::channel(), mpsc::channel());
    let mut output = LogOutput::start(Held { began, go });
    let mut write = |line: &str| {
        output.write_all(line.as_bytes()).expect("it never fails");
        output.lost
    };
    let next = || String::from_utf8(lines.recv().expect("the thread lives")).expect("text");
    write("first\n");
    assert_eq!(next(), "first\n");
    // The thread is held up from here on, and the queue is empty.
    (0..QUEUE).for_each(|_| assert_eq!(write("in time\n"), 0));
    (1..=800).for_each(|lost| assert_eq!(write("too late\n"), lost));
    drop(hold);
    (0..QUEUE).for_each(|_| assert_eq!(next(), "in time\n"));
    assert_eq!(write("last\n"), 0);
    assert_eq!(next(), "lines of the log lost: 800\n");
    assert_eq!(next(), "last\n");
}
