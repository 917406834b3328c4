//! What became of a call.

use ombak_embed::{ChangeError, LeadError, NotNow, ProposeError, ReadError};

/// `ombak_code`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Code(pub i32);

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Code {
            $(pub(crate) const $name: Code = Code($number);)*
        }

        /// All of them: how the header calls each, and its text.
        pub const CODES: &[(&str, Code, &std::ffi::CStr)] =
            &[$((concat!("OMBAK_", stringify!($name)), Code($number), $text)),*];
    };
}

codes! {
    OK = 0, c"it is done";
    UNKNOWN = 1, c"it may have been decided or not: ask the state before it is proposed again";
    NO_LEADER = 2, c"nothing was done: there is no leader, for a majority of the members can't be reached from here; later";
    BUSY = 3, c"nothing was done: too much is waiting; later, and with less at a time";
    DISK_FULL = 4, c"nothing was done: the disk of this member is full; make room, or ask another member";
    TOO_LARGE = 5, c"nothing was done: it is larger than OMBAK_COMMAND_BYTES_MAX";
    LATE = 6, c"the time is over, and nothing was changed";
    ENDED = 7, c"this member takes no part any more: stop it and start it again, or ask another one";
    REFUSED = 8, c"nothing was done: the members are changing, or these would be no members, or that one can't lead";
    NOT_A_PEER = 9, c"nothing was done: that member is not among the members in the options of this process";
    INVALID = 10, c"nothing was done: a pointer is NULL that must not be, or a text is not what it should be";
    NOT_STARTED = 11, c"the member did not start";
    PANICKED = 12, c"a bug of the library: stop the group";
    BEHIND = 13, c"nothing was changed: this member has not come so far, or keeps no state; later, or ask another one";
}

impl Code {
    pub(crate) fn text(self) -> &'static std::ffi::CStr {
        let code = CODES.iter().find(|(_, code, _)| *code == self);
        code.map_or(c"a code of another version of this library", |(_, _, text)| text)
    }
}

impl From<NotNow> for Code {
    fn from(why: NotNow) -> Code {
        match why {
            NotNow::NoLeader => Code::NO_LEADER,
            NotNow::Busy => Code::BUSY,
            NotNow::DiskFull => Code::DISK_FULL,
        }
    }
}

impl From<ProposeError> for Code {
    fn from(error: ProposeError) -> Code {
        match error {
            ProposeError::Unknown => Code::UNKNOWN,
            ProposeError::NotNow(why) => why.into(),
            ProposeError::TooLarge(_) => Code::TOO_LARGE,
            ProposeError::Ended(_) => Code::ENDED,
        }
    }
}

impl From<ReadError> for Code {
    fn from(error: ReadError) -> Code {
        match error {
            ReadError::NotNow(why) => why.into(),
            ReadError::TooLarge(_) => Code::TOO_LARGE,
            ReadError::Ended(_) => Code::ENDED,
            ReadError::Late(_) => Code::LATE,
            ReadError::Behind => Code::BEHIND,
        }
    }
}

impl From<ChangeError> for Code {
    fn from(error: ChangeError) -> Code {
        match error {
            ChangeError::Unknown => Code::UNKNOWN,
            ChangeError::NotNow(why) => why.into(),
            ChangeError::Refused => Code::REFUSED,
            ChangeError::NotAPeer(_) => Code::NOT_A_PEER,
            ChangeError::Ended(_) => Code::ENDED,
        }
    }
}

impl From<LeadError> for Code {
    fn from(error: LeadError) -> Code {
        match error {
            LeadError::Unknown => Code::UNKNOWN,
            LeadError::NotNow(why) => why.into(),
            LeadError::Refused(_) => Code::REFUSED,
            LeadError::Ended(_) => Code::ENDED,
        }
    }
}
