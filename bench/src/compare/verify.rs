//! Whether a run is served by what it is meant to be served by.
//!
//! A loader that cannot preload a library says so on standard error and goes on with the C library's: without this check,
//! glibc would be measured under another's name. Invariant: all five functions are served by one object, the expected one.

use std::path::{Path, PathBuf};

use super::contender::Serving;

/// The object that serves, in words, if it is the expected one and serves every function.
///
/// # Errors
/// A sentence on the first function that is served by something else.
pub(super) fn verify(
    expected: &Serving,
    found: &[(&'static str, Option<PathBuf>)],
) -> Result<String, String> {
    let mut served_by = None;
    for (function, file) in found {
        let Some(file) = file else {
            return Err(format!("nobody knows which library serves {function}, so nothing is measured"));
        };
        let right = match expected {
            Serving::Library(library) | Serving::Design(library, _) => same(library, file),
            // What the limit is measured beside is the C library's, as nothing is preloaded.
            Serving::Glibc | Serving::Limit => is_libc(file),
        };
        if !right {
            let wanted = match expected {
                Serving::Library(library) | Serving::Design(library, _) => library.display().to_string(),
                _ => "the C library".to_owned(),
            };
            return Err(format!(
                "{function} is served by {}, not by {wanted}: the library was not loaded or does not have it",
                file.display()
            ));
        }
        served_by = served_by.or(Some(file));
    }
    match (expected, served_by) {
        (Serving::Limit, _) => Ok("no allocator".to_owned()),
        (_, Some(file)) => Ok(file.display().to_string()),
        (_, None) => Err("nothing was asked for".to_owned()),
    }
}

/// Whether two paths lead to one file.
fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Whether a file is called like the C library: `libc.so.6`, `libc-2.31.so`, musl's loader.
fn is_libc(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libc.") || name.starts_with("libc-") || name.starts_with("ld-musl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::c::serving;

    fn found(malloc: &str, free: &str) -> Vec<(&'static str, Option<PathBuf>)> {
        vec![("malloc", Some(malloc.into())), ("free", Some(free.into()))]
    }

    #[test]
    fn a_library_that_did_not_load_is_refused() {
        let wanted = Serving::Library("/usr/lib/libjemalloc.so.2".into());
        let libc = "/lib/x86_64-linux-gnu/libc.so.6";
        assert_eq!(
            verify(&wanted, &found(libc, libc)),
            Err("malloc is served by /lib/x86_64-linux-gnu/libc.so.6, not by /usr/lib/libjemalloc.so.2: the library was not \
                 loaded or does not have it"
                .to_owned())
        );
        let half = verify(&wanted, &found("/usr/lib/libjemalloc.so.2", libc)).expect_err("free is another's");
        assert!(half.starts_with("free is served by /lib"), "{half}");
        let right = found("/usr/lib/libjemalloc.so.2", "/usr/lib/libjemalloc.so.2");
        assert_eq!(verify(&wanted, &right), Ok("/usr/lib/libjemalloc.so.2".to_owned()));
        assert!(verify(&Serving::Glibc, &right).expect_err("preloaded").contains("not by the C library"));
        assert!(verify(&Serving::Glibc, &[("malloc", None)]).is_err());
    }

    #[test]
    fn this_test_is_served_by_glibc_and_by_nothing_else() {
        let here = serving();
        assert!(verify(&Serving::Glibc, &here).expect("no library is preloaded").contains("libc"));
        assert_eq!(verify(&Serving::Limit, &here), Ok("no allocator".to_owned()));
        assert!(verify(&Serving::Library("/nowhere/libx.so".into()), &here).is_err());
    }
}
