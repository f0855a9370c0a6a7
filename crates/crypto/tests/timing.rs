//! How long a check takes must not tell where a tag is wrong, or a tag could be guessed byte by byte.
//!
//! Measured as dudect does (Reparaz, Balasch, Verbauwhede 2017): two classes of input, interleaved at random, compared
//! by Welch's t-test on trimmed samples. A leak is there every time, noise is not: only what shows in each of several
//! attempts counts. That the measurement is sharp enough is shown on a comparison that stops at the first wrong byte.

use std::hint::black_box;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signalbox_core::time::Micros;
use signalbox_crypto::assertion;
use signalbox_crypto::keyring::Keyring;
use signalbox_crypto::link::{Destination, Link, sign_click, sign_open, verify_click, verify_open};

const NOW: Micros = Micros(1_780_000_000_000_000);
const TAG: usize = 32;
const SAMPLES: usize = 6_000;
/// Checks per sample: one alone is shorter than the clock is fine.
const TOGETHER: usize = 8;
const ATTEMPTS: usize = 4;
/// The usual bound is 4.5; a busy machine deserves more, and a real leak shows with far more than this.
const LEAK: f64 = 12.0;

/// The same token twice: wrong in the first byte of its tag, and wrong in the last one.
fn wrong_first_and_last(token: &str) -> [Vec<u8>; 2] {
    let bytes = URL_SAFE_NO_PAD.decode(token).expect("a token is base 64");
    [bytes.len() - TAG, bytes.len() - 1].map(|place| {
        let mut wrong = bytes.clone();
        wrong[place] ^= 1;
        URL_SAFE_NO_PAD.encode(wrong).into_bytes()
    })
}

/// Times `check` on both inputs, which are copied to one place so that their addresses do not matter.
fn measure(inputs: &[Vec<u8>; 2], check: &mut dyn FnMut(&[u8])) -> f64 {
    let mut place = vec![0; inputs[0].len()];
    let mut samples: [Vec<f64>; 2] = Default::default();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..2 * SAMPLES + 200 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let class = usize::from(random >> 40 & 1 == 1);
        place.copy_from_slice(&inputs[class]);
        let start = Instant::now();
        for _ in 0..TOGETHER {
            check(black_box(&place));
        }
        let took = start.elapsed().as_nanos() as f64;
        // The first ones warm up caches and branch predictors.
        if round >= 200 {
            samples[class].push(took);
        }
    }
    welch(&samples)
}

/// Welch's t of both classes without their slow half: interruptions only ever add time.
fn welch(samples: &[Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = samples.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let most = all[all.len() / 2];
    let [first, last] = samples.each_ref().map(|samples| {
        let kept: Vec<f64> = samples.iter().copied().filter(|took| *took <= most).collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let variance = kept.iter().map(|took| (took - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (count, mean, variance)
    });
    // Trimming at one bound hides a difference in how many samples pass it: that counts too.
    let passed = (first.0 - last.0) / (first.0 + last.0).sqrt();
    let means = (first.1 - last.1) / (first.2 / first.0 + last.2 / last.0).sqrt();
    if passed.abs() > means.abs() { passed } else { means }
}

/// The t values of all attempts, stopping at the first one without a leak.
fn attempts(inputs: &[Vec<u8>; 2], check: &mut dyn FnMut(&[u8])) -> Vec<f64> {
    let mut all = Vec::new();
    for _ in 0..ATTEMPTS {
        all.push(measure(inputs, check));
        if all.last().is_some_and(|t| t.abs() < LEAK) {
            break;
        }
    }
    all
}

fn leaks(inputs: &[Vec<u8>; 2], check: &mut dyn FnMut(&[u8])) -> Result<(), Vec<f64>> {
    let all = attempts(inputs, check);
    if all.len() == ATTEMPTS && all.iter().all(|t| t.abs() >= LEAK) { Err(all) } else { Ok(()) }
}

/// Stops at the first byte that differs, as `==` may.
fn early_exit(left: &[u8], right: &[u8]) -> bool {
    left.iter().zip(right).all(|(left, right)| black_box(left) == black_box(right))
}

#[test]
fn the_time_of_a_check_does_not_tell_where_the_tag_is_wrong() {
    let ring = Keyring::create(NOW).unwrap();
    let link = Link { principal: 1, campaign: 2, message: 3, recipient: 4, link: 5 };
    let destination = Destination::parse("https://shop.example/spring?x=1").unwrap();

    let token = sign_open(&ring, &link, None, NOW);
    let opens = wrong_first_and_last(&token);
    let mut check_open = |token: &[u8]| assert!(black_box(verify_open(&ring, token, NOW)).is_err());
    let found = leaks(&opens, &mut check_open);
    assert_eq!(found, Ok(()), "checking a pixel's token takes a time that tells where its tag is wrong");

    let clicks = wrong_first_and_last(&sign_click(&ring, &link, &destination, None, NOW));
    let mut check_click = |token: &[u8]| assert!(black_box(verify_click(&ring, token, NOW)).is_err());
    let found = leaks(&clicks, &mut check_click);
    assert_eq!(found, Ok(()), "checking a click's token takes a time that tells where its tag is wrong");

    let session = assertion::sign(&ring, 42, NOW.plus(1_000_000), NOW);
    let (body, tag) = session.split_once('.').unwrap();
    let sessions = wrong_first_and_last(tag).map(|tag| [body.as_bytes(), b".", &tag].concat());
    let mut check_session = |text: &[u8]| {
        let text = std::str::from_utf8(text).expect("a session is ASCII");
        assert!(black_box(assertion::verify(&ring, text, NOW)).is_none());
    };
    let found = leaks(&sessions, &mut check_session);
    assert_eq!(found, Ok(()), "checking a session takes a time that tells where its tag is wrong");

    // The same measurement sees a comparison that stops early, behind the same work.
    let right = URL_SAFE_NO_PAD.decode(&token).unwrap();
    let mut naive = |token: &[u8]| {
        assert!(black_box(verify_open(&ring, token, NOW)).is_err());
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        assert!(!early_exit(black_box(&bytes[bytes.len() - TAG..]), black_box(&right[right.len() - TAG..])));
    };
    let seen = (0..3).map(|_| attempts(&opens, &mut naive)).collect::<Vec<_>>();
    let caught = seen.iter().any(|all| all.len() == ATTEMPTS);
    assert!(caught, "the measurement is too dull: it does not see a comparison that stops early ({seen:?})");
}
