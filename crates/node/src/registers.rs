//! This node's part in the registers that the whole cluster shares, beside the root group.
//!
//! The voters that founded the root group have the seats. On which disk each of them is now, the root group's log says; everything
//! else the registers do without it: see [`ombak_paxos::register::server`].

use ombak_base::property::about;
use ombak_base::{ClientId, DirectoryId, Effects, Event, Machine, Now, Partition, ShardId, Stamp};
use ombak_paxos::register::Era;
use ombak_paxos::register::server::{
    RegisterFailure, RegisterReply, RegisterRequest, RegisterServer, RegisterSetup,
    RegisterTelling, RegisterTimer, Seating,
};
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::part::{Part, Within};
use crate::shard::{Config, Reply, Shard, Timer};

/// Where the registers lie, on shard 0.
pub const REGISTER_PARTITION: Partition = Partition(u32::MAX - 2);

/// The registers, and what they were told last of who sits where.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Registers {
    server: RegisterServer,
    seated: Option<(Era, DirectoryId)>,
}

impl Registers {
    pub fn new(config: &Config, damaged: bool) -> Option<Box<Registers>> {
        let members = config.root.as_ref().filter(|_| config.me.shard == ShardId(0))?;
        let setup = RegisterSetup {
            id: config.me.node,
            home: REGISTER_PARTITION,
            seats: members.voters.clone(),
            damaged,
        };
        Some(Box::new(Registers { server: RegisterServer::new(setup), seated: None }))
    }

    pub fn check(&self) {
        self.server.check();
    }

    /// Requests that are under way.
    pub fn clients(&self) -> usize {
        self.server.clients()
    }
}

impl Shard {
    /// Whether this node keeps registers, and answers for them: it has a seat, and all that belongs to that.
    pub(crate) fn keeps_registers(&self) -> bool {
        self.registers.as_ref().is_some_and(|registers| registers.server.is_seated())
    }

    /// A client asks something about registers.
    pub(crate) fn ask_register<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        request: RegisterRequest,
        fx: &mut E,
    ) {
        if self.registers.is_none() {
            let elsewhere = RegisterReply::Failed(RegisterFailure::Elsewhere);
            return fx.reply(client, Reply::Register(elsewhere), Stamp::NONE);
        }
        self.tell_registers(now, Event::Request { client, request }, fx);
    }

    /// Tells the registers of something.
    pub(crate) fn tell_registers<E: Effects<Shard>>(
        &mut self,
        now: Now,
        event: Event<RegisterServer>,
        fx: &mut E,
    ) {
        if let Some(registers) = &mut self.registers {
            let mut within = Within { fx, stored: &mut self.stored };
            about(REGISTER_PARTITION, || registers.server.step(now, event, &mut within));
        }
    }

    /// The root group has gone on: it may be known by now, or anew, who sits where.
    pub(crate) fn seat_registers<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        let (Some(registers), Some(root)) = (&mut self.registers, &self.root) else { return };
        let replica = root.replica().filter(|_| root.is_ready());
        let (replica, life) = (replica, root.member().life());
        let seated = replica.zip(life);
        let seated = seated.map(|(replica, life)| (Era(replica.members_at().0), life.disk));
        if registers.seated == seated {
            return;
        }
        registers.seated = seated;
        let disks = replica.map(|replica| replica.members().disks.clone()).unwrap_or_default();
        let seating = seated.map(|(era, mine)| Seating { era, disks, mine });
        let mut within = Within { fx, stored: &mut self.stored };
        about(REGISTER_PARTITION, || registers.server.seat(now, seating, &mut within));
    }
}

impl Part for RegisterServer {
    const TICKETS: u64 = 1 << 61;

    fn message(message: RegisterTelling) -> Message {
        Message::Registers(message)
    }

    fn reply(reply: RegisterReply) -> Reply {
        Reply::Register(reply)
    }

    fn timer(timer: RegisterTimer) -> Timer {
        Timer::Registers(timer)
    }
}
