use std::collections::BTreeMap;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::explore::Digest;

fn insert(table: &Table, arrivals: Vec<(u128, Id)>) -> Vec<bool> {
    let mut batch = Batch { arrivals, ..Batch::default() };
    table.insert_all(&mut batch);
    batch.is_new
}

fn print(value: u64) -> u128 {
    Digest::of(&value)
}

impl Piece {
    /// What the documentation says of it.
    fn check(&self) {
        let taken: Vec<(usize, &Slot)> =
            self.slots.iter().enumerate().filter(|(_, slot)| slot[1] != NOBODY).collect();
        assert_eq!(taken.len(), self.used);
        assert!(self.slots.len() >= self.homes && self.used * 8 < self.homes * 7);
        for two in taken.windows(2) {
            let order = |slot: &Slot| (slot[1], slot[0]);
            assert!(order(two[0].1) < order(two[1].1), "in order, each once");
        }
        for (at, slot) in &taken {
            let home = self.home(slot[1]);
            assert!(home <= *at, "in its home or behind it");
            assert!(self.slots[home..*at].iter().all(|slot| slot[1] != NOBODY), "no gap");
        }
    }
}

/// Fingerprints that are hard to keep apart: with equal halves, with neighbours, at both ends, and some as they are.
fn hard() -> impl Strategy<Value = u128> {
    let half = prop_oneof![
        0..4_u64,
        (0..4_u64).prop_map(|low| u64::MAX - low),
        (0..8_u64).prop_map(|low| low << 61)
    ];
    let halves =
        (half.clone(), half).prop_map(|(high, low)| u128::from(high) << 64 | u128::from(low));
    prop_oneof![3 => halves, 1 => any::<u128>(), 1 => (0..200_u64).prop_map(print)]
}

/// What a table is to be: fingerprints, each with the parent that it came with first.
#[derive(Default)]
struct Seen(BTreeMap<(Id, u64), Id>);

impl Seen {
    fn insert(&mut self, print: u128, parent: Id) -> bool {
        let key = (id_of(print), (print >> 64) as u64);
        let is_new = !self.0.contains_key(&key);
        self.0.entry(key).or_insert(parent);
        is_new
    }

    /// Of all whose low halves are this id.
    fn parents(&self, id: Id) -> Vec<Id> {
        self.0.range((id, 0)..=(id, u64::MAX)).map(|(_, parent)| *parent).collect()
    }
}

fn check(table: &Table, seen: &Seen) -> Result<(), TestCaseError> {
    prop_assert_eq!(table.states(), seen.0.len());
    let mut slots = 0;
    for piece in &table.pieces {
        let piece = piece.lock().unwrap();
        piece.check();
        slots += piece.slots.len();
    }
    prop_assert_eq!(table.bytes(), slots * size_of::<Slot>());
    for (id, _) in seen.0.keys() {
        let parent = table.parent(*id);
        prop_assert!(parent.is_some_and(|parent| seen.parents(*id).contains(&parent)));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_table_is_a_map_that_keeps_the_first(batches in prop::collection::vec(
        prop::collection::vec((hard(), 0..9_u64), 0..200),
        0..8,
    )) {
        let (table, mut seen) = (Table::new(), Seen::default());
        for arrivals in batches {
            let expected: Vec<bool> =
                arrivals.iter().map(|(print, parent)| seen.insert(*print, *parent)).collect();
            prop_assert_eq!(insert(&table, arrivals), expected);
            check(&table, &seen)?;
        }
        for id in [1, 2, 5, 7 << 61, u64::MAX, u64::MAX - 9] {
            prop_assert_eq!(table.parent(id).is_some(), !seen.parents(id).is_empty());
        }
    }

    /// A piece that begins small and has few homes is grown often, and filled beyond its last home.
    #[test]
    fn a_piece_keeps_its_order_whatever_comes(prints in prop::collection::vec(hard(), 0..120)) {
        let (mut piece, mut seen) = (Piece::new(8), Seen::default());
        for (parent, print) in (1..).zip(prints) {
            prop_assert_eq!(piece.insert(print, parent), seen.insert(print, parent));
            piece.check();
            prop_assert_eq!(piece.slots.len(), 8 + piece.grown);
        }
        for ((id, high), parent) in &seen.0 {
            prop_assert_eq!(piece.slots[piece.find(*high, *id)], [*high, *id, *parent]);
        }
    }
}

#[test]
fn what_goes_in_is_found_with_its_parent() {
    let table = Table::new();
    for from in (0..100_000).step_by(1_000) {
        let values = from..from + 1_000;
        let arrivals = values.map(|value| (print(value), id_of(print(value / 2)))).collect();
        assert!(insert(&table, arrivals).into_iter().all(|is_new| is_new));
    }
    let again = (0..100_000).map(|value| (print(value), 7)).collect();
    assert!(insert(&table, again).into_iter().all(|is_new| !is_new));
    assert_eq!(table.states(), 100_000);
    assert_eq!(table.parent(id_of(print(99_999))), Some(id_of(print(49_999))));
    assert_eq!(table.parent(id_of(print(100_000))), None);
}

/// However many there are, a state takes no more than the documentation says.
#[test]
fn a_state_takes_27_to_31_bytes() {
    let table = Table::new();
    for from in (0..200_000).step_by(500) {
        insert(&table, (from..from + 500).map(|value| (print(value), NOBODY)).collect());
        let each = table.bytes() as f64 / table.states() as f64;
        assert!(
            from < 10_000 || (27.0..31.0).contains(&each),
            "{each} bytes at {}",
            table.states()
        );
    }
}

#[test]
fn halves_that_are_alike_do_not_make_a_state_the_same() {
    let arrivals = [1 << 64 | 5, 2 << 64 | 5, 0, 0, 1 << 64 | 5];
    let arrivals = arrivals.map(|print| (print, NOBODY)).to_vec();
    assert_eq!(insert(&Table::new(), arrivals), [true, true, true, false, false]);
}

/// Whichever thread comes first: each state is new once.
#[test]
fn a_state_is_new_to_one_thread() {
    const STATES: u64 = 20_000;
    let table = Table::new();
    let new = |thread: u64| {
        let values = (0..STATES).map(|value| if thread == 0 { value } else { STATES - 1 - value });
        let values: Vec<u64> = values.collect();
        let arrivals =
            |values: &[u64]| values.iter().map(|value| (print(*value), thread)).collect();
        let is_new = values.chunks(100).flat_map(|values| insert(&table, arrivals(values)));
        is_new.filter(|is_new| *is_new).count()
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| new(1));
        (new(0), other.join().unwrap())
    });
    assert_eq!((one + other, table.states()), (STATES as usize, STATES as usize));
}
