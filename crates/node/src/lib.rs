//! The shard: the one composition of cluster and key-value machines
