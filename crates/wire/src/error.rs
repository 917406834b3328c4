//! What can be wrong with bytes from a connection.

/// The bytes are no frame. What follows can't be found any more: close the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum FrameError {
    /// A length of zero leaves no room for the message code.
    #[error("a frame of length 0 has no message code")]
    Empty,
    /// The length is above the limit of a frame, which is given.
    #[error("a frame of {0} bytes is longer than the limit of {1}")]
    TooLong(u32, usize),
}

/// The frame holds no message. The next frame is where it was: answer with an error and go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// No message has this code, or none that travels in this direction. The text is Riak's.
    #[error("Unknown message code: {0}")]
    UnknownCode(u8),
    /// A required field is not there.
    #[error("the message lacks its required field `{0}`")]
    Missing(&'static str),
    /// A field of Ombak's own messages has a value that none can have.
    #[error("the field `{0}` has a value that it cannot have")]
    Invalid(&'static str),
    /// More than [`FIELDS_MAX`](crate::FIELDS_MAX) fields.
    #[error("the message has more than {max} fields", max = crate::FIELDS_MAX)]
    TooManyFields,
    /// The body is not what its code says.
    #[error("the message cannot be decoded: {0}")]
    Malformed(#[from] prost::DecodeError),
}
