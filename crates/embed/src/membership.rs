//! Who belongs to a group.

use std::collections::BTreeSet;

use ombak_base::NodeId;

/// Who is to belong to a group, for [`Group::change_to`](crate::Group::change_to).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Membership {
    /// They vote.
    pub voters: BTreeSet<NodeId>,
    /// They are told everything, and do not vote.
    pub learners: BTreeSet<NodeId>,
    /// Those among the voters that keep the log and no state, so that they can't lead. Who was one before is one in any case. Fewer than
    /// decide, so that somebody with the state is always among these.
    pub witnesses: BTreeSet<NodeId>,
    /// How many voters decide: with 2 of 5 a leader needs one other for each command, and its successor needs all but one of them to be
    /// elected. `None`: as many as now, which is a majority unless it was changed.
    pub accept: Option<usize>,
}
