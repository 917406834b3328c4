//! Simulated clusters of the production shard, and the bugs planted in it
