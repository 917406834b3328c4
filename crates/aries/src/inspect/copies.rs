//! What a verification says of the copies in `pages.double`.

use ombak_base::Disk;

use super::Inspection;
use super::pages::PageFile;
use super::verify::{Severity, Verification};
use crate::error::Error;
use crate::named::NamedFile;
use crate::pool::Kept;

impl<D: Disk> Inspection<D> {
    /// Looks at every byte of the copies that a restart would look at: the header, and each copy that it names.
    ///
    /// A crash while copies are written leaves a header or copies that are not whole, and then the pages themselves have not
    /// been touched yet: so by itself that is no damage.
    pub(super) fn verify_copies(
        &self,
        pages: &PageFile,
        report: &mut Verification,
    ) -> Result<(), Error> {
        let Some(double) = &pages.double else { return Ok(()) };
        let path = double.path();
        let Some(kept) = Kept::read(double)? else {
            if !is_zero(double)? {
                let what = "the header of the copies can't be read";
                let lost = "the copies of the pages that were written last: one that was torn can't be put right";
                report.find(Severity::Mended, (path, 0), what, lost);
            }
            return Ok(());
        };
        if let Some(identity) = pages.identity.filter(|identity| *identity != kept.identity) {
            let what =
                format!("it is of database {}, and the pages are of {identity}", kept.identity);
            let lost = "the copies of the pages that were written last";
            report.find(Severity::Damage, (path, 0), what, lost);
            return Ok(());
        }
        for (place, (id, _)) in kept.pages.iter().enumerate() {
            if kept.copy(double, place)?.is_some() {
                continue;
            }
            let what = format!("the copy of page {} can't be read", id.0);
            let (severity, lost) = match pages.read(*id)?.fault {
                None => (Severity::Mended, "nothing: the page itself is whole"),
                Some(_) => (Severity::Damage, "what the page could be put right from"),
            };
            report.find(severity, (path, Kept::offset_of(place)), what, lost);
        }
        Ok(())
    }
}

/// Whether no copies were ever kept.
fn is_zero(file: &NamedFile) -> Result<bool, Error> {
    let mut header = vec![0; Kept::offset_of(0) as usize];
    file.read_at(&mut header, 0)?;
    Ok(header.iter().all(|byte| *byte == 0))
}
