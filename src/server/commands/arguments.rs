//! How words are read as numbers, times and options, and the errors for words that are none.

use crate::base::clock::Now;
use crate::base::units;
use crate::protocol::Request;
use crate::protocol::command::Verb;
use crate::server::store::Expiry;
use crate::session::RequestError;

/// Returns the number that a word is.
///
/// # Errors
/// The word is no number, or it has more than 64 bits.
pub fn integer(word: &[u8]) -> Result<i64, RequestError> {
    units::integer(word).ok_or(RequestError::new("value is not an integer or out of range"))
}

/// The unit of a number that stands for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeUnit {
    millis: i64,
    from_now: bool,
}

impl TimeUnit {
    /// Seconds from now.
    pub const SECONDS: TimeUnit = TimeUnit { millis: 1000, from_now: true };
    /// Milliseconds from now.
    pub const MILLIS: TimeUnit = TimeUnit { millis: 1, from_now: true };
    /// Unix seconds.
    pub const UNIX_SECONDS: TimeUnit = TimeUnit { millis: 1000, from_now: false };
    /// Unix milliseconds.
    pub const UNIX_MILLIS: TimeUnit = TimeUnit { millis: 1, from_now: false };

    /// Returns the time in Unix milliseconds; one before 1970 counts as 0. An error names the
    /// command of the request.
    ///
    /// # Errors
    /// The time has more than 63 bits.
    pub fn unix_millis(
        self,
        number: i64,
        request: &Request<'_>,
        now: Now,
    ) -> Result<u64, RequestError> {
        let base = if self.from_now { i64::try_from(now.unix_millis).ok() } else { Some(0) };
        let millis = number.checked_mul(self.millis);
        let sum = base.zip(millis).and_then(|(base, millis)| base.checked_add(millis));
        let sum = sum.ok_or_else(|| invalid_time(request))?;
        Ok(u64::try_from(sum).unwrap_or(0))
    }

    /// Returns the time at which a value expires that a command stores: the number is above 0.
    ///
    /// # Errors
    /// The word is no such number, or the time has more than 63 bits.
    pub fn deadline(
        self,
        word: &[u8],
        request: &Request<'_>,
        now: Now,
    ) -> Result<u64, RequestError> {
        let number = integer(word)?;
        if number <= 0 {
            return Err(invalid_time(request));
        }
        self.unix_millis(number, request, now)
    }
}

fn invalid_time(request: &Request<'_>) -> RequestError {
    let name = request.command.name.to_ascii_lowercase();
    format!("invalid expire time in '{name}' command").into()
}

/// The options of `SET`, or of `GETEX`.
#[derive(Debug, Default)]
pub struct StoreOptions<'a> {
    /// `XX`: only if the key exists; `NX`: only if it does not.
    pub only_if_exists: Option<bool>,
    /// `GET`.
    pub get: bool,
    lifetime: Option<Lifetime>,
    /// The number of a lifetime that has one.
    number: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    Keep,
    Persist,
    Until(TimeUnit),
}

impl<'a> StoreOptions<'a> {
    /// Reads the words behind the value of a `SET`, or behind the key of a `GETEX`. Numbers are not
    /// read yet.
    ///
    /// # Errors
    /// A syntax error.
    pub fn of(request: &Request<'a>) -> Result<StoreOptions<'a>, RequestError> {
        let is_set = request.command.verb == Verb::Set;
        let mut options = StoreOptions::default();
        let mut words = request.words().skip(if is_set { 3 } else { 2 });
        while let Some(word) = words.next() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let lifetime = if is("EX") {
                Lifetime::Until(TimeUnit::SECONDS)
            } else if is("PX") {
                Lifetime::Until(TimeUnit::MILLIS)
            } else if is("EXAT") {
                Lifetime::Until(TimeUnit::UNIX_SECONDS)
            } else if is("PXAT") {
                Lifetime::Until(TimeUnit::UNIX_MILLIS)
            } else if is_set && is("KEEPTTL") {
                Lifetime::Keep
            } else if !is_set && is("PERSIST") {
                Lifetime::Persist
            } else if is_set && (is("NX") || is("XX")) {
                set_once(&mut options.only_if_exists, is("XX"))?;
                continue;
            } else if is_set && is("GET") {
                options.get = true;
                continue;
            } else {
                return Err(RequestError::SYNTAX);
            };
            set_once(&mut options.lifetime, lifetime)?;
            if let Lifetime::Until(_) = lifetime {
                options.number = words.next().ok_or(RequestError::SYNTAX)?;
            }
        }
        Ok(options)
    }

    /// Returns the expiry of the value; `None`: there is no such option.
    ///
    /// # Errors
    /// See [`TimeUnit::deadline`].
    pub fn expiry(&self, request: &Request<'_>, now: Now) -> Result<Option<Expiry>, RequestError> {
        Ok(match self.lifetime {
            None => None,
            Some(Lifetime::Keep) => Some(Expiry::Keep),
            Some(Lifetime::Persist) => Some(Expiry::Never),
            Some(Lifetime::Until(unit)) => {
                Some(Expiry::At(unit.deadline(self.number, request, now)?))
            }
        })
    }
}

/// Sets an option, which may be given again, but not another one in its place.
fn set_once<T: PartialEq + Copy>(place: &mut Option<T>, word: T) -> Result<(), RequestError> {
    if *place.get_or_insert(word) == word { Ok(()) } else { Err(RequestError::SYNTAX) }
}
