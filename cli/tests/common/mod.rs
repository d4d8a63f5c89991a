//! What the tests of the program share.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A directory of segments that nobody else uses or may enter, gone when the test is over. The permissions are said, not
/// left to the umask: a writer refuses a directory that others may enter.
pub(crate) fn private() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new()
        .prefix("stormglass-test-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .expect("a directory")
}
