//! Messages by their code: what a client says, and what a server answers.

use bytes::Bytes;
use prost::Message;

use crate::WireError;
use crate::bound::check_fields;
use crate::frame::put_frame;
use crate::messages::*;

/// Defines an enum of messages with their codes. `(a, b)` after a message are the tags of messages in it that may hold
/// repeated fields.
macro_rules! messages {
    (
        $(#[$doc:meta])* $name:ident, checked by $check:ident;
        $($(#[$message_doc:meta])* $code:literal $variant:ident $(($message:ty) $([$($inside:literal),*])?)?,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$message_doc])* $variant $(($message))?,)*
        }

        impl $name {
            /// Reads a frame's body. Where a code has no body, whatever comes with it is ignored, as Riak does.
            pub fn decode(code: u8, body: Bytes) -> Result<$name, WireError> {
                match code {
                    $($code => messages!(@decode $check body $name $variant $($message $([$($inside),*])?)?),)*
                    _ => Err(WireError::UnknownCode(code)),
                }
            }

            /// The code that stands before the body.
            pub fn code(&self) -> u8 {
                match self {
                    $(messages!(@pattern $name $variant $($message)?) => $code,)*
                }
            }

            /// Appends the whole frame to `out`. Keeping it below the limit of a frame is up to the caller.
            pub fn encode_frame(&self, out: &mut Vec<u8>) {
                match self {
                    $(messages!(@bind body $name $variant $($message)?) => {
                        put_frame(out, $code, |_out| { messages!(@encode body _out $($message)?); });
                    })*
                }
            }
        }
    };
    (@decode $check:ident $body:ident $name:ident $variant:ident) => { Ok($name::$variant) };
    (@decode $check:ident $body:ident $name:ident $variant:ident $message:ty $([$($inside:literal),*])?) => {{
        $check(&$body, &[$($($inside),*)?])?;
        let message = <$message>::decode($body)?;
        message.check()?;
        Ok($name::$variant(message))
    }};
    (@pattern $name:ident $variant:ident) => { $name::$variant };
    (@pattern $name:ident $variant:ident $message:ty) => { $name::$variant(_) };
    (@bind $body:ident $name:ident $variant:ident) => { $name::$variant };
    (@bind $body:ident $name:ident $variant:ident $message:ty) => { $name::$variant($body) };
    (@encode $body:ident $out:ident) => {};
    (@encode $body:ident $out:ident $message:ty) => { append($body, $out) };
}

messages! {
    /// What a client asks.
    #[expect(
        clippy::large_enum_variant,
        reason = "a request is used where it was decoded; a box would be an allocation for each put"
    )]
    Request, checked by check_fields;
    /// Is anyone there?
    1 Ping,
    /// Asks for the connection's client id.
    3 GetClientId,
    /// Names the client.
    5 SetClientId(RpbSetClientIdReq),
    /// Asks who answers.
    7 GetServerInfo,
    /// Reads a key.
    9 Get(RpbGetReq),
    /// Writes a key.
    11 Put(RpbPutReq) [4],
    /// Deletes a key.
    13 Del(RpbDelReq),
    /// Lists buckets.
    15 ListBuckets(RpbListBucketsReq),
    /// Lists a bucket's keys.
    17 ListKeys(RpbListKeysReq),
    /// Asks for a bucket's properties; [`Response::GetBucket`] answers.
    19 GetBucket(RpbGetBucketReq),
    /// Changes a bucket's properties; [`Response::SetBucket`] answers.
    21 SetBucket(RpbSetBucketReq) [2],
    /// Returns a bucket's properties to its type's.
    29 ResetBucket(RpbResetBucketReq),
    /// Asks for a bucket type's properties; [`Response::GetBucket`] answers.
    31 GetBucketType(RpbGetBucketTypeReq),
    /// Changes a bucket type's properties; [`Response::SetBucket`] answers.
    32 SetBucketType(RpbSetBucketTypeReq) [2],
    /// Asks where a key lives.
    33 GetBucketKeyPreflist(RpbGetBucketKeyPreflistReq),
    /// Asks who owns which partition. Ombak's own: a Riak answers that it does not know the code.
    240 Rows,
}

messages! {
    /// What a server answers.
    Response, checked by trusted;
    /// The request failed.
    0 Error(RpbErrorResp),
    /// Yes.
    2 Ping,
    /// The connection's client id.
    4 GetClientId(RpbGetClientIdResp),
    /// The client is named.
    6 SetClientId,
    /// Who answers.
    8 GetServerInfo(RpbGetServerInfoResp),
    /// What was read.
    10 Get(RpbGetResp),
    /// What was written.
    12 Put(RpbPutResp),
    /// The key is deleted.
    14 Del,
    /// Some or all buckets.
    16 ListBuckets(RpbListBucketsResp),
    /// Some keys.
    18 ListKeys(RpbListKeysResp),
    /// Properties, of a bucket or of a bucket type.
    20 GetBucket(RpbGetBucketResp),
    /// Properties are changed, of a bucket or of a bucket type.
    22 SetBucket,
    /// Properties are the type's again.
    30 ResetBucket,
    /// Where the key lives.
    34 GetBucketKeyPreflist(RpbGetBucketKeyPreflistResp),
    /// Who owns which partition. Ombak's own.
    241 Rows(OmbakRowsResp) [5],
}

impl Response {
    /// The answer to a request that failed, with the code 0 that Riak sends.
    pub fn error(text: impl Into<Bytes>) -> Response {
        Response::Error(RpbErrorResp { errmsg: Some(text.into()), errcode: Some(0) })
    }
}

/// A client chose its server, and a listing may be as long as it is. Of the answers, only those are counted that name
/// messages inside.
fn trusted(body: &[u8], inside: &[u32]) -> Result<(), WireError> {
    if inside.is_empty() { Ok(()) } else { check_fields(body, inside) }
}

fn append(message: &impl Message, out: &mut Vec<u8>) {
    // Only a buffer of fixed size can be too small.
    let encoded = message.encode(out);
    debug_assert!(encoded.is_ok());
}

#[cfg(test)]
mod tests;
