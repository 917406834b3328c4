//! The `ombak` program. All of it is in the library beside this file, where fuzz targets reach its parsers too.

use std::process::ExitCode;

fn main() -> ExitCode {
    ombak::main()
}
