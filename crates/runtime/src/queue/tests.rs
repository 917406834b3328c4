use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Act {
    Send,
    SendOrStarve,
    Pop,
    Look,
    TakeStarved,
}

/// A queue as one would draw it: what was looked at stands before it, and makes room in it.
#[derive(Default)]
struct Model {
    looked_at: Option<u32>,
    queue: VecDeque<u32>,
    starved: bool,
}

impl Model {
    fn send(&mut self, item: u32) -> bool {
        let has_room = self.queue.len() < CAPACITY;
        self.queue.extend(has_room.then_some(item));
        has_room
    }

    fn pop(&mut self) -> Option<u32> {
        self.looked_at.take().or_else(|| self.queue.pop_front())
    }

    fn look(&mut self) -> bool {
        self.looked_at = self.pop();
        self.looked_at.is_none()
    }
}

/// What was sent, or came back.
fn sent(result: Result<(), Rejected<u32>>, item: u32) -> bool {
    match result {
        Ok(()) => true,
        Err(Rejected::Full(back)) => {
            assert_eq!(back, item);
            false
        }
        Err(Rejected::Closed) => panic!("the reader is there"),
    }
}

proptest! {
    #[test]
    fn a_queue_is_first_in_first_out_and_bounded(acts in proptest::collection::vec(
        proptest::sample::select(&[Act::Send, Act::SendOrStarve, Act::Pop, Act::Look, Act::TakeStarved][..]),
        0..60,
    )) {
        let (sender, mut receiver) = queue(CAPACITY, Bell::of_thread());
        let mut model = Model::default();
        for (item, act) in (0..).zip(acts) {
            match act {
                Act::Send => prop_assert_eq!(sent(sender.try_send(item), item), model.send(item)),
                Act::SendOrStarve => {
                    let fits = model.send(item);
                    model.starved |= !fits;
                    prop_assert_eq!(sent(sender.try_send_or_starve(item), item), fits);
                }
                Act::Pop => prop_assert_eq!(receiver.pop(), model.pop()),
                Act::Look => prop_assert_eq!(receiver.is_empty(), model.look()),
                Act::TakeStarved => {
                    prop_assert_eq!(receiver.take_starved(), std::mem::take(&mut model.starved));
                }
            }
        }
        let rest: Vec<_> = std::iter::from_fn(|| receiver.pop()).collect();
        let expected: Vec<_> = std::iter::from_fn(|| model.pop()).collect();
        prop_assert_eq!(rest, expected);
    }
}

#[test]
fn a_full_queue_refuses_and_remembers_who_starves() {
    let (sender, mut receiver) = queue(2, Bell::of_thread());
    assert!(sender.try_send(1).is_ok() && sender.try_send(2).is_ok());
    assert!(matches!(sender.try_send(3), Err(Rejected::Full(3))));
    assert!(!receiver.take_starved());
    assert!(matches!(sender.try_send_or_starve(3), Err(Rejected::Full(3))));
    assert_eq!(receiver.pop(), Some(1));
    assert!(receiver.take_starved() && !receiver.take_starved());
    drop(receiver);
    assert!(matches!(sender.try_send(4), Err(Rejected::Closed)));
    assert!(!sender.send(5));
}

/// Two senders and a sleeping reader: a lost wake-up would leave the reader parked for ever.
#[test]
fn no_wake_up_is_lost() {
    const EACH: u64 = 20_000;
    let bell = Bell::of_thread();
    let (sender, mut receiver) = queue(16, bell.clone());
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || (0..EACH).for_each(|i| assert!(sender.send(i))))
        })
        .collect();
    let (mut count, mut sum) = (0, 0);
    while count < 2 * EACH {
        match receiver.pop() {
            Some(item) => (count, sum) = (count + 1, sum + item),
            None => {
                bell.lie_down();
                if receiver.is_empty() {
                    bell.park();
                }
                bell.rise();
            }
        }
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_eq!(sum, EACH * (EACH - 1));
}
