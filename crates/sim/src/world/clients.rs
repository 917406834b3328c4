//! The clients of a simulated cluster.

use ombak_base::{Address, ClientId, Event, NodeId, ShardId, Tick};

use super::node::{Inside, ReplyOf, RequestOf};
use super::{Heard, Reply, System, World};

/// Clients.
impl<S: System> World<S> {
    /// Sends a request to a shard. What comes of it is in [`take_replies`](World::take_replies).
    pub fn request(&mut self, node: NodeId, shard: ShardId, request: RequestOf<S>) -> ClientId {
        self.last_client += 1;
        let client = ClientId(self.last_client);
        let Some(process) = self.process(node) else {
            self.hang_up(client);
            return client;
        };
        process.clients.insert(client);
        self.clients.insert(client, Address { node, shard });
        let event = Event::Request { client, request };
        self.push_now(node, Inside::Event(shard, event));
        client
    }

    /// Sends a request, waits for its first reply for at most `us_max`, and forgets it. A machine that
    /// answers at once answers in no time: a loop over `ask` that waits for something else hangs.
    pub fn ask(
        &mut self,
        node: NodeId,
        shard: ShardId,
        request: RequestOf<S>,
        us_max: u64,
    ) -> Option<Heard<ReplyOf<S>>> {
        let client = self.request(node, shard, request);
        self.run_until_true(us_max, |world| world.replies.iter().any(|each| each.client == client));
        let place = self.replies.iter().position(|each| each.client == client);
        let reply = place.map(|place| self.replies.remove(place).heard);
        self.finish(client);
        reply
    }

    /// Everything heard since the last call, in order.
    pub fn take_replies(&mut self) -> Vec<Reply<ReplyOf<S>>> {
        std::mem::take(&mut self.replies)
    }

    /// What the next [`take_replies`](World::take_replies) will take: to go on until something is heard.
    pub fn replies(&self) -> &[Reply<ReplyOf<S>>] {
        &self.replies
    }

    /// The client wants the next part of a streamed answer.
    pub fn more(&mut self, client: ClientId) {
        if let Some(at) = self.clients.get(&client).copied() {
            self.push_now(at.node, Inside::Event(at.shard, Event::More(client)));
        }
    }

    /// The client goes away before its answer; the machine is told.
    pub fn go_away(&mut self, client: ClientId) {
        if let Some(at) = self.clients.get(&client).copied() {
            self.push_now(at.node, Inside::Event(at.shard, Event::Gone(client)));
        }
        self.finish(client);
    }

    /// The client has all it wants. Not needed, but without it a crash tells it that the node hung up.
    pub fn finish(&mut self, client: ClientId) {
        if let Some(at) = self.clients.remove(&client) {
            self.process(at.node).map(|process| process.clients.remove(&client));
        }
    }

    pub(super) fn hang_up(&mut self, client: ClientId) {
        self.clients.remove(&client);
        self.replies.push(Reply { client, at: Tick(self.now), heard: Heard::HungUp });
    }
}
