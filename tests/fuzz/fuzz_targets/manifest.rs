//! Any bytes as a root and as an edit of the manifest, with checksums that fit.
#![no_main]

use barrow_engine::manifest::edit::Edit;
use barrow_engine::manifest::root::{LEN, Root};
use barrow_fuzz::with_crc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Root::decode(bytes);
    if bytes.len() == LEN {
        let bytes = with_crc(bytes, 12, 16..LEN);
        if let Ok(root) = Root::decode(&bytes) {
            assert_eq!(root.encode(), bytes);
        }
    }
    let _ = Edit::read(bytes, 0);
    if bytes.len() >= 12 {
        let mut bytes = bytes.to_vec();
        let len = u32::try_from(bytes.len() - 8).expect("inputs are small");
        bytes[4..8].copy_from_slice(&len.to_le_bytes());
        let bytes = with_crc(&bytes, 0, 4..bytes.len());
        if let Ok((edit, edit_len, crc)) = Edit::read(&bytes, 0) {
            let mut again = Vec::new();
            assert_eq!(edit.append_to(&mut again, 0), crc);
            assert_eq!(again, bytes[..edit_len]);
        }
    }
});
