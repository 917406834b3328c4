use super::*;

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
