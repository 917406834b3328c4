use clap::ValueEnum;

use super::*;

fn job(work: Work, engine: Kind, dir: PathBuf) -> Job {
    Job {
        work,
        engine,
        dir,
        threads: 3,
        rows: 500,
        seconds: 0.0,
        transactions: 30,
        put_rows: 50,
        read_rows: 20,
        memory_bytes: 64 << 20,
        round: 0,
        cgroup: None,
    }
}

/// A phase of no seconds does one piece of work.
fn assert_runs(works: &[Work], engine: Kind) {
    let dir = tempfile::tempdir().unwrap();
    for work in works {
        let measures = job(*work, engine, dir.path().to_path_buf()).run().unwrap();
        let sound = |measure: &Measure| measure.value.is_finite() && measure.value >= 0.0;
        assert!(measures.iter().all(sound), "{engine:?}, {work:?}: {measures:?}");
    }
}

#[test]
fn every_engine_does_all_that_it_can() {
    for engine in Kind::value_variants() {
        assert_runs(&[Work::Bytes], *engine);
        if engine.has_tables() {
            assert_runs(&[Work::Memory], *engine);
            assert_runs(&[Work::Scan], *engine);
            assert_runs(&[Work::LargerLoad, Work::Larger], *engine);
        }
    }
}
