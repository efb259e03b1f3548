//! Any bytes are a frame or a fault, and a frame comes back from its own bytes.
#![no_main]

use barrow_protocol::frame::{HEADER_LEN, Header, Reply, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = Header::read(bytes) else { return };
    let Some(body) = bytes.get(HEADER_LEN..header.frame_len()) else { return };
    let mut again = Vec::new();
    if let Ok(request) = Request::decode(header, body) {
        request.encode(header.request, &mut again).expect("what was read can be written");
    } else if let Ok(reply) = Reply::decode(header, body) {
        // All that it lists can be walked.
        let _ = format!("{reply:?}");
        // A code that is not known is read and not written.
        if reply.encode(header.request, &mut again).is_err() {
            return;
        }
    } else {
        return;
    }
    assert_eq!(again, bytes[..header.frame_len()]);
});
