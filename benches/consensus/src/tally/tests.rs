use super::*;

#[test]
fn order_matters() {
    let commands = Commands::new(16).take(2);
    let (mut one, mut other) = (Tally::default(), Tally::default());
    commands.iter().for_each(|command| one.apply(command));
    commands.iter().rev().for_each(|command| other.apply(command));
    assert_eq!(one.count, other.count);
    assert_ne!(one.sum, other.sum);
}

#[test]
fn the_expected_tally_is_that_of_what_was_taken() {
    let mut commands = Commands::new(1024);
    let mut tally = Tally::default();
    for count in [1, COMMANDS, 7] {
        commands.take(count).iter().for_each(|command| tally.apply(command));
    }
    assert_eq!(tally, commands.tally());
}
