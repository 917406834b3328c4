//! The whole of it, against a server of a few lines that listens on a port of its own.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::{Bytes, BytesMut};
use clap::Parser;
use ombak_wire::{
    Request, Response, RpbBucketProps, RpbContent, RpbGetBucketResp, RpbGetResp,
    RpbGetServerInfoResp, RpbPutResp, split_frame,
};

use super::open_loop::{Counts, OpenLoop};
use super::run::measure;
use super::{BenchArgs, BenchError};

#[derive(Parser)]
#[command(args_override_self = true)]
struct Cli {
    #[command(flatten)]
    bench: BenchArgs,
}

/// The options that a command line stands for.
pub(super) fn args(line: &str) -> BenchArgs {
    Cli::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).unwrap().bench
}

type Objects = Arc<Mutex<BTreeMap<Bytes, Bytes>>>;
/// What stands in for an answer: `None` closes the connection.
type Face = fn(&Objects, Request) -> Option<Response>;

struct Server {
    address: SocketAddr,
    objects: Objects,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn start(face: Face) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (objects, stop) = (Objects::default(), Arc::new(AtomicBool::new(false)));
        let (shared, stopped) = (Arc::clone(&objects), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let objects = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &objects, face));
            }
        });
        Server { address, objects, stop }
    }

    fn measure(&self, line: &str) -> Result<super::report::Report, BenchError> {
        let line =
            format!("--addr {} --duration 200ms --warmup 50ms --keys 50 {line}", self.address);
        measure(args(&line), &AtomicBool::new(false))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener so that it sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, objects: &Objects, face: Face) {
    let mut input = BytesMut::new();
    let mut piece = vec![0; 1 << 16];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        input.extend_from_slice(&piece[..read]);
        let mut output = Vec::new();
        while let Some((code, body)) = split_frame(&mut input).unwrap() {
            let Some(response) = face(objects, Request::decode(code, body).unwrap()) else {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            };
            response.encode_frame(&mut output);
        }
        if stream.write_all(&output).is_err() {
            return;
        }
    }
}

fn honest(objects: &Objects, request: Request) -> Option<Response> {
    let mut objects = objects.lock().unwrap();
    Some(match request {
        Request::GetServerInfo => Response::GetServerInfo(RpbGetServerInfoResp {
            node: Some("fake@127.0.0.1".into()),
            server_version: Some("3.2.3".into()),
        }),
        Request::GetBucket(_) => Response::GetBucket(RpbGetBucketResp {
            props: Some(Box::new(RpbBucketProps { n_val: Some(3), ..RpbBucketProps::default() })),
        }),
        Request::Put(put) => {
            objects.insert(put.key.unwrap(), put.content.unwrap().value.unwrap());
            Response::Put(RpbPutResp::default())
        }
        Request::Get(get) => {
            let value = objects.get(&get.key.unwrap()).cloned();
            let content =
                value.map(|value| RpbContent { value: Some(value), ..RpbContent::default() });
            Response::Get(RpbGetResp {
                content: content.into_iter().collect(),
                ..RpbGetResp::default()
            })
        }
        Request::Del(delete) => {
            objects.remove(&delete.key.unwrap());
            Response::Del
        }
        _ => Response::error("not here"),
    })
}

#[test]
fn deletes_are_counted_and_what_they_took_is_no_loss() {
    let server = Server::start(honest);
    let line = "--connections 2 --preload --gets 50 --deletes 40 --keys-distribution zipf";
    let report = server.measure(line).unwrap();
    assert!(report.deletes.count > 0 && report.not_found > 0, "{report}");
    assert_eq!(report.operations, report.gets.count + report.puts.count + report.deletes.count);
    assert_eq!(report.failure(), None);
    let text = report.to_string();
    assert!(
        text.contains("delete") && text.contains("zipf") && !text.contains("MISSING"),
        "{text}"
    );
}

#[test]
fn gets_and_puts_are_counted_and_timed() {
    let server = Server::start(honest);
    let report = server.measure("--connections 3 --depth 4 --preload --value-bytes 100").unwrap();
    assert!(report.gets.count > 0 && report.puts.count > 0, "{report}");
    assert_eq!(report.operations, report.gets.count + report.puts.count);
    assert!(report.gets.p50_us > 0 && report.gets.p50_us <= report.gets.max_us, "{report}");
    assert!(
        report.errors.is_empty() && report.lost.is_empty() && report.not_found == 0,
        "{report}"
    );
    assert!(report.under_way <= 12 && report.disconnects == 0, "{report}");
    assert_eq!((report.unanswered, report.failure()), (0, None));
    assert_eq!(report.servers[0].node, "fake@127.0.0.1");
    assert_eq!(report.servers[0].n_val, Some(3));
    assert!(report.seconds >= 0.2 && report.preload_seconds.is_some());
}

#[test]
fn a_read_modify_write_is_one_operation_and_carries_the_context() {
    let server = Server::start(|objects, request| match request {
        Request::Get(get) if get.key.as_deref() != Some(b"key00000007") => {
            Some(Response::Get(RpbGetResp {
                content: vec![RpbContent::default()],
                vclock: Some("seen".into()),
                ..RpbGetResp::default()
            }))
        }
        Request::Put(put) => {
            let blind = put.key.as_deref() == Some(b"key00000007");
            let expected = if blind { None } else { Some(Bytes::from_static(b"seen")) };
            Some(if put.vclock == expected {
                Response::Put(RpbPutResp::default())
            } else {
                Response::error("another context")
            })
        }
        request => honest(objects, request),
    });
    let report = server.measure("--connections 3 --depth 4 --mix f").unwrap();
    assert!(report.read_modify_writes.count > 0 && report.gets.count > 0, "{report}");
    assert_eq!((report.puts.count, report.failure()), (0, None), "{report}");
    assert_eq!(report.operations, report.gets.count + report.read_modify_writes.count);
    assert!(report.under_way <= 12 && report.not_found > 0, "{report}");
    assert!(report.to_string().contains("read-modify-write"), "{report}");
}

#[test]
fn inserts_add_keys_and_only_what_is_there_is_read() {
    let server = Server::start(honest);
    let report = server.measure("--connections 3 --depth 4 --mix d --preload").unwrap();
    assert!(report.inserts.count > 0 && report.puts.count == 0, "{report}");
    assert_eq!((report.not_found, report.failure()), (0, None), "{report}");
    assert!(server.objects.lock().unwrap().len() > 50);
}

#[test]
fn an_open_loop_keeps_its_rate_and_not_more() {
    let server = Server::start(honest);
    let report = server.measure("--connections 8 --rate 200 --duration 1s").unwrap();
    let open = report.open_loop.as_ref().unwrap();
    assert!((120..300).contains(&open.arrivals) && open.overflowed == 0, "{report}");
    assert!(report.operations <= open.arrivals + 8, "{report}");
    assert!(report.to_string().contains("held: 200/s"), "{report}");
}

#[test]
fn a_rate_is_held_if_at_most_one_in_a_hundred_waits() {
    let held = |came, waiting| {
        let (before, after) = (Counts::default(), Counts { came, overflowed: 0, waiting });
        OpenLoop::of(200, before, after).held
    };
    assert!(held(190, 1) && !held(190, 2));
    assert!(held(1_000, 10) && !held(1_000, 11));
    let overflowed = Counts { came: 1_000, overflowed: 1, waiting: 0 };
    assert!(!OpenLoop::of(200, Counts::default(), overflowed).held);
}

#[test]
fn what_waited_for_a_slow_server_is_in_the_latencies() {
    let server = Server::start(|objects, request| {
        if let Request::Get(_) = request {
            thread::sleep(std::time::Duration::from_millis(20));
        }
        honest(objects, request)
    });
    // One connection answers 50 a second.
    let line = "--connections 1 --gets 100 --rate 500 --warmup 0s --duration 1s";
    let report = server.measure(line).unwrap();
    let open = report.open_loop.as_ref().unwrap();
    assert!(!open.held && open.waiting > 200 && report.operations < 60, "{report}");
    assert!(report.gets.p99_us > 500_000, "{report}");
    assert!(report.to_string().contains("NOT HELD"), "{report}");
}

#[test]
fn preloading_stores_every_key() {
    let server = Server::start(honest);
    server.measure("--connections 2 --preload --gets 100 --value-bytes 10").unwrap();
    let objects = server.objects.lock().unwrap();
    assert_eq!(objects.len(), 50);
    assert_eq!(objects.first_key_value().unwrap().0, "key00000000");
    assert_eq!(objects.last_key_value().unwrap().0, "key00000049");
    assert!(objects.values().all(|value| value.len() == 10));
}

#[test]
fn values_longer_than_all_buffers_pass() {
    let server = Server::start(honest);
    let report = server
        .measure("--connections 2 --depth 3 --preload --keys 3 --value-bytes 700000")
        .unwrap();
    assert!(report.gets.count > 0 && report.puts.count > 0 && report.not_found == 0, "{report}");
    assert!(server.objects.lock().unwrap().values().all(|value| value.len() == 700_000));
}

#[test]
fn missing_keys_are_a_line_of_their_own() {
    let server = Server::start(honest);
    let report = server.measure("--connections 1 --gets 100").unwrap();
    assert!(report.not_found > 0 && report.not_found == report.gets.count, "{report}");
    assert!(!report.to_string().contains("MISSING"), "{report}");
}

#[test]
fn refusals_are_counted_in_the_servers_words() {
    let server = Server::start(|objects, request| match request {
        Request::Put(_) => Some(Response::error("{pw_val_unsatisfied,2,1}")),
        request => honest(objects, request),
    });
    let report = server.measure("--connections 2").unwrap();
    assert!(report.errors["{pw_val_unsatisfied,2,1}"] > 0, "{report}");
    assert_eq!(report.puts.count, 0);
    assert!(report.gets.count > 0);
}

#[test]
fn preloading_a_server_that_refuses_ends() {
    let server = Server::start(|objects, request| match request {
        Request::Put(_) => Some(Response::error("overload")),
        request => honest(objects, request),
    });
    let error = server.measure("--preload --connections 8 --depth 50").unwrap_err();
    assert!(matches!(&error, BenchError::Preload(0, reason) if reason == "overload"), "{error}");
}

#[test]
fn lost_connections_come_back_and_are_counted() {
    let server = Server::start(|objects, request| match request {
        // One key is poison.
        Request::Get(get) if get.key.as_deref() == Some(b"key00000007") => None,
        request => honest(objects, request),
    });
    let line = "--connections 2 --gets 100 --duration 600ms";
    let report = server.measure(line).unwrap();
    assert!(report.disconnects > 2, "{report}");
    assert!(report.gets.count > 0, "{report}");
    assert_eq!(report.lost.values().sum::<u64>(), report.disconnects, "{report}");
}

#[test]
fn what_is_never_answered_is_counted() {
    let server = Server::start(|objects, request| match request {
        Request::Get(get) if get.key.as_deref() == Some(b"key00000007") => loop {
            thread::park();
        },
        request => honest(objects, request),
    });
    let report = server.measure("--connections 2 --gets 100 --warmup 0s").unwrap();
    assert!(report.gets.count > 0, "{report}");
    assert_eq!((report.under_way, report.unanswered), (2, 2), "{report}");
}

#[test]
fn a_server_that_went_away_is_seen() {
    let server = Server::start(|objects, request| match request {
        Request::Get(_) | Request::Put(_) => None,
        request => honest(objects, request),
    });
    let report = server.measure("--connections 2").unwrap();
    assert_eq!(report.operations, 0, "{report}");
    assert!(report.not_connected > 0 && report.to_string().contains("not connected"), "{report}");
}

#[test]
fn connections_are_spread_over_the_addresses() {
    let (one, two) = (Server::start(honest), Server::start(honest));
    let line = format!("--addr {} --gets 0 --connections 2", two.address);
    let report = one.measure(&line).unwrap();
    assert_eq!(report.servers.len(), 2);
    assert!(!one.objects.lock().unwrap().is_empty() && !two.objects.lock().unwrap().is_empty());
}

#[test]
fn a_lost_connection_moves_on_to_the_next_address() {
    let broken = Server::start(|objects, request| match request {
        Request::Get(_) | Request::Put(_) => None,
        request => honest(objects, request),
    });
    let sound = Server::start(honest);
    let line = format!("--addr {} --connections 1 --duration 1s", sound.address);
    let report = broken.measure(&line).unwrap();
    assert!(report.operations > 0 && report.not_connected == 0, "{report}");
}

#[test]
fn a_process_is_measured() {
    let server = Server::start(honest);
    let report = server.measure(&format!("--pid {} --connections 2", std::process::id())).unwrap();
    assert!(report.processes[0].peak_bytes > 0);
    assert!(report.server_cpu_seconds.is_some());
}

#[test]
fn an_interrupt_ends_the_window_but_not_the_report() {
    let server = Server::start(honest);
    let line = format!("--addr {} --duration 1h --warmup 0s --connections 1", server.address);
    let interrupted = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        let run = scope.spawn(|| measure(args(&line), &interrupted));
        while server.objects.lock().unwrap().len() < 10 {
            thread::yield_now();
        }
        interrupted.store(true, Ordering::Relaxed);
        run.join().unwrap().unwrap()
    });
    assert!(report.interrupted && report.operations > 0, "{report}");
    let early = measure(args(&line), &AtomicBool::new(true));
    assert!(matches!(early, Err(BenchError::Interrupted)));
}

#[test]
fn errors_say_what_to_do() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error_of =
        |line: &str| measure(args(line), &AtomicBool::new(false)).unwrap_err().to_string();
    assert!(error_of(&format!("--addr {refused}")).contains("ombak demo"));
    assert!(error_of("--addr nowhere").contains("HOST:PORT"));
    assert!(error_of("--pid 4294967295").contains("--pid"));

    let http = Server::start(|_, _| None);
    assert!(http.measure("").unwrap_err().to_string().contains("8087"));
    let typed = Server::start(|objects, request| match request {
        Request::GetBucket(_) => Some(Response::error("Invalid bucket type: <<\"t\">>")),
        request => honest(objects, request),
    });
    assert!(typed.measure("").is_ok());
    assert!(typed.measure("--type t").unwrap_err().to_string().contains("activate"));
}
