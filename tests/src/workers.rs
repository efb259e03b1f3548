//! Many pieces of work on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does pieces 0, 1, 2, … of `pieces`, on as many threads as there are cores, and hands each
/// result to `take`, which says whether to go on.
///
/// # Panics
/// With the first failure, once the pieces that are being worked on are done.
pub fn on_all_cores<T>(
    pieces: usize,
    work: impl Fn(usize) -> Result<T, String> + Sync,
    take: impl FnMut(T) -> bool + Send,
) {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((take, None::<String>));
    let worker = || {
        loop {
            let piece = next.load(Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            let (from, to) = (Ordering::Relaxed, Ordering::Relaxed);
            if next.compare_exchange(piece, piece + 1, from, to).is_err() {
                continue;
            }
            let result = work(piece);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            let goes_on = match result {
                Ok(value) => (results.0)(value),
                Err(failure) => {
                    results.1.get_or_insert(failure);
                    false
                }
            };
            if !goes_on {
                next.store(usize::MAX, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let (_, failure) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = failure {
        panic!("{failure}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once() {
        let mut done = Vec::new();
        on_all_cores(1_000, Ok, |piece| {
            done.push(piece);
            true
        });
        done.sort_unstable();
        assert_eq!(done, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn enough_is_enough() {
        let mut done = 0;
        on_all_cores(usize::MAX, Ok, |_| {
            done += 1;
            done < 100
        });
        assert!((100..10_000).contains(&done), "{done}");
    }
}
