//! A node's storage: opened, read for what each shard starts from, and its damage told.

use std::collections::{BTreeMap, BTreeSet};

use ombak_aries::OsDisk;
use ombak_base::Partition;
use ombak_node::{Boot, Config, NODE_PARTITION, REGISTER_PARTITION, ROOT_PARTITION, Shard};
use ombak_store::log::Recovered;
use ombak_store::{Store, StoreWriter, btree};

use crate::directory::Directory;
use crate::{Backend, Options, StartError};

/// The fingerprint of a vnode that may be missing altogether.
const MISSING: u64 = 1;

/// Storage that is open.
pub(crate) struct Storage {
    devices: Vec<Store<OsDisk>>,
    pub writer: StoreWriter<OsDisk>,
    pub recovered: Recovered,
}

impl Storage {
    /// Opens the store in the directory, or one in memory.
    pub fn open(
        options: &Options,
        directory: Option<&Directory>,
        shards: u16,
    ) -> Result<Storage, StartError> {
        if options.backend == Backend::Memory {
            let (devices, writer) = Store::memory(shards);
            return Ok(Storage { devices, writer, recovered: Recovered::default() });
        }
        let directory = directory.ok_or(StartError::NoDirectory)?;
        let opened = match options.backend {
            Backend::Btree => {
                let identity = btree::identity_of(&options.name);
                let btree = btree::BtreeOptions { identity, ..options.btree };
                Store::btree(directory.disk(), shards, btree)
            }
            Backend::Log | Backend::Memory => Store::log(directory.disk(), shards, options.log),
        };
        let (devices, writer, recovered) =
            opened.map_err(|source| StartError::Store { dir: directory.path().into(), source })?;
        for damage in &recovered.damage {
            tracing::warn!(
                file = damage.file,
                offset = damage.offset,
                "stored data is damaged: {damage}"
            );
        }
        Ok(Storage { devices, writer, recovered })
    }

    /// The shards, each with what its device holds.
    pub fn shards(
        mut self,
        config: impl Fn(u16) -> Config,
    ) -> (Vec<(Shard, Store<OsDisk>)>, StoreWriter<OsDisk>) {
        let damaged = self.damaged(&config(0));
        let props = self.devices.first_mut().map(Boot::read_props).unwrap_or_default();
        let shards = self.devices.into_iter().enumerate().map(|(index, mut device)| {
            let config = config(index as u16);
            let mut boot = Boot::read(&mut device, &config, &damaged);
            boot.props = props.clone();
            (Shard::new(config, boot), device)
        });
        (shards.collect(), self.writer)
    }

    /// Partitions of which something may be lost without a trace. If that may be whole partitions, those that are not
    /// there are among them.
    fn damaged(&self, config: &Config) -> BTreeMap<Partition, u64> {
        let mut damaged = self.recovered.incomplete();
        if self.recovered.may_miss_partitions() {
            let there: BTreeSet<_> = self.devices.iter().flat_map(Store::partitions).collect();
            let own = config.topology.ring.partitions_of(config.me.node);
            let own = own.chain([ROOT_PARTITION, REGISTER_PARTITION]);
            let missing = own.filter(|partition| !there.contains(partition));
            damaged.extend(missing.map(|partition| (partition, MISSING)));
        }
        damaged.remove(&NODE_PARTITION);
        damaged
    }
}
