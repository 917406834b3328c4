//! What members say to each other, and how it is written.
//!
//! ```text
//! telling = kind:u8 rest                                        (numbers are varints)
//! beat 0
//! log  1  group message                                         see the messages of `log`
//! ```

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, Wire, put_varint};
use serde::{Deserialize, Serialize};

use super::Group;
use crate::log::Message;

/// What members say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Telling {
    /// I live. Of the node, and not of each group.
    Beat,
    /// About the log of a group.
    Log(Group, Message),
}

impl Wire for Telling {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Telling::Beat => out.push(0),
            Telling::Log(group, message) => {
                out.push(1);
                put_varint(out, group.0.into());
                message.encode(out);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<Telling, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            0 => reader.finish().map(|()| Telling::Beat),
            1 => {
                let group = decode_group(&mut reader)?;
                Message::decode(reader.rest()).map(|message| Telling::Log(group, message))
            }
            _ => Err(DecodeError::Invalid("kind of telling")),
        }
    }
}

fn decode_group(reader: &mut Reader) -> Result<Group, DecodeError> {
    let number = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("group"))?;
    Ok(Group(number))
}
