//! The modes, against the tables of the VMS manual.

use super::super::mode::Modes;
use super::*;

/// *VMS System Services*, "Compatibility of Lock Modes": rows are requested, columns granted.
const COMPATIBLE: &str = "
       NL  CR  CW  PR  PW  EX
    NL yes yes yes yes yes yes
    CR yes yes yes yes yes no
    CW yes yes yes no  no  no
    PR yes yes no  yes no  no
    PW yes yes no  no  no  no
    EX yes no  no  no  no  no
";

/// What each is at most.
const AT_MOST: &str = "
       NL  CR  CW  PR  PW  EX
    NL yes yes yes yes yes yes
    CR no  yes yes yes yes yes
    CW no  no  yes no  yes yes
    PR no  no  no  yes yes yes
    PW no  no  no  no  yes yes
    EX no  no  no  no  no  yes
";

fn table(holds: impl Fn(Mode, Mode) -> bool) -> String {
    let mut text = "\n       NL  CR  CW  PR  PW  EX\n".to_owned();
    for row in Mode::ALL {
        let cells = Mode::ALL.map(|column| if holds(row, column) { "yes" } else { "no " });
        text += &format!("    {row} {}\n", cells.join(" ").trim_end());
    }
    text
}

#[test]
fn compatible_as_in_the_manual() {
    assert_eq!(table(Mode::compatible), COMPATIBLE);
}

#[test]
fn weaker_as_in_the_manual() {
    assert_eq!(table(Mode::at_most), AT_MOST);
}

#[test]
fn counted_as_one_by_one() {
    for pick in 0..3u32.pow(6) {
        let times = |mode: Mode| pick / 3u32.pow(mode as u32) % 3;
        let mut modes = Modes::default();
        for mode in Mode::ALL {
            (0..times(mode) + 1).for_each(|_| modes.add(mode));
            modes.remove(mode);
        }
        for wanted in Mode::ALL {
            let one_by_one = Mode::ALL.iter().filter(|mode| !mode.compatible(wanted));
            assert_eq!(modes.conflicts(wanted), one_by_one.map(|mode| times(*mode)).sum());
        }
    }
}
