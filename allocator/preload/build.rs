//! How the library is linked.

fn main() {
    // Once loaded it stays: blocks outlive a `dlclose`, and so does the key that runs at a thread's end.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstormglass.so");
    println!("cargo:rerun-if-changed=build.rs");
}
