//! What can this machine do at all? Syncs of the disk, copies in memory, echoes over loopback.
//!
//! `--data DIR` is a folder on the disk to be measured.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use barrow_benches::{arguments, figure};

const TIME: Duration = Duration::from_secs(2);
const FILE_LEN: usize = 64 << 20;
const COPY_LEN: usize = 256 << 20;

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    fs::create_dir_all(&dir).expect("the folder can be made");
    syncs(&dir.join("limits"));
    for threads in [1, 2] {
        copies(threads);
    }
    echoes();
}

fn syncs(path: &Path) {
    let mut file = File::create(path).expect("the folder takes files");
    let (took, ()) = figure::seconds(|| {
        file.write_all(&vec![0; FILE_LEN]).expect("the disk has room");
        file.sync_all().expect("the disk works");
    });
    figure::one("write and sync of 64 MiB", "MiB/s", 64.0 / took);
    for len in [512, 4_096, 65_536] {
        let bytes = vec![1; len];
        let mut at = 0;
        let samples = figure::repeat(TIME, || {
            file.write_all_at(&bytes, at as u64).expect("the disk works");
            file.sync_data().expect("the disk works");
            at = (at + len) % (FILE_LEN - len);
        });
        figure::many(&format!("fdatasync of {len} bytes, preallocated"), "us", samples);
    }
    fs::remove_file(path).expect("it is ours");
}

/// Bytes copied a second, read and written counted once, as a memcpy is usually told.
fn copies(threads: usize) {
    let rates = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let source = vec![1_u8; COPY_LEN];
                    let mut target = vec![2_u8; COPY_LEN];
                    let samples = figure::repeat(TIME, || {
                        target.copy_from_slice(black_box(&source));
                        black_box(&mut target);
                    });
                    samples.into_iter().fold(f64::INFINITY, f64::min)
                })
            })
            .collect();
        let fastest = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        fastest.map(|micros| COPY_LEN as f64 / micros / 1e3).sum::<f64>()
    });
    figure::one(&format!("memory copy, {threads} threads"), "GB/s", rates);
}

fn echoes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("one connection comes");
        stream.set_nodelay(true).expect("a socket takes the option");
        let mut bytes = [0; 64];
        while stream.read_exact(&mut bytes).is_ok() {
            stream.write_all(&bytes).expect("the other side reads");
        }
    });
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a socket takes the option");
    let mut bytes = [7; 64];
    let samples = figure::repeat(TIME, || {
        stream.write_all(&bytes).expect("the other side reads");
        stream.read_exact(&mut bytes).expect("the other side answers");
    });
    figure::many("loopback echo of 64 bytes", "us", samples);
}
