use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    bench: BenchArgs,
}

fn parse(line: &str) -> Result<BenchArgs, String> {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    Cli::try_parse_from(words).map(|cli| cli.bench).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_those_of_the_manual() {
    let args = parse("").unwrap();
    assert_eq!(args.addr, ["127.0.0.1:8087"]);
    assert_eq!((args.connections, args.depth, args.gets), (64, 1, 50));
    assert_eq!((args.value_bytes, args.keys, &args.bucket[..]), (1024, 100_000, "bench"));
    assert_eq!((args.duration, args.warmup), (Duration::from_secs(10), Duration::from_secs(2)));
    assert!(args.check().is_ok());
}

#[test]
fn addresses_and_processes_repeat_or_stand_in_a_list() {
    let args = parse("--addr a:1,b:2 --addr c:3 --pid 4,5 --pid 6").unwrap();
    assert_eq!(args.addr, ["a:1", "b:2", "c:3"]);
    assert_eq!(args.pid, [4, 5, 6]);
}

#[test]
fn quorums_are_numbers_or_names() {
    let args = parse("--r one --w 2 --dw all").unwrap();
    assert_eq!((args.r, args.w, args.dw), (Some(quorum::ONE), Some(2), Some(quorum::ALL)));
    assert!(parse("--r some").is_err());
    assert!(parse("--r 4294967295").is_err());
}

#[test]
fn bounds_are_checked_and_named() {
    for (line, name) in [
        ("--connections 0", "--connections"),
        ("--depth 0", "--depth"),
        ("--keys 0", "--keys"),
        ("--keys 100000001", "--keys"),
        ("--value-bytes 50000001", "--value-bytes"),
        ("--bucket=", "--bucket"),
        ("--duration 0s", "--duration"),
        ("--gets 60 --deletes 41", "--gets and --deletes"),
    ] {
        let error = parse(line).unwrap().check().unwrap_err();
        assert!(error.to_string().starts_with(name), "{line}: {error}");
    }
    assert!(parse("--gets 101").is_err());
    assert!(parse("--rate 0").is_err() && parse("--rate 1000001").is_err());
}

#[test]
fn a_mix_stands_alone_and_fills_what_it_replaces() {
    for other in ["--gets 50", "--deletes 1", "--keys-distribution zipf"] {
        assert!(parse(&format!("--mix a {other}")).is_err(), "{other}");
    }
    assert!(parse("--mix e").unwrap_err().contains("[possible values: a, b, c, d, f]"));
    let args = parse("--mix b").unwrap().with_mix();
    assert_eq!((args.gets, args.keys_distribution), (95, Distribution::Zipf));
    assert_eq!(args.mix_text(), "YCSB's mix b, 95 % gets, zipf keys");
    assert_eq!(parse("--gets 7").unwrap().with_mix().gets, 7);
}
