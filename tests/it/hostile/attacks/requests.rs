//! Requests that cost the server more than the client.

use rand::RngExt as _;
use reqwest::Method;

use crate::hostile::attacker::{Attacker, at_once, basic, pace};

/// Bytes of a body: as much as the server takes.
const BODY_BYTES: usize = (1 << 20) - 64;

/// Methods and paths are what metrics and logs might keep for ever.
pub(super) async fn unknown_names(mut attacker: Attacker) {
    at_once(&mut attacker, 4, |mut attacker| async move {
        let mut pace = pace(20);
        loop {
            pace.tick().await;
            let number: u32 = attacker.rng.random();
            let method = match number % 16 {
                0 => format!("M{number}{}", "X".repeat(60_000)),
                _ => format!("M{number}"),
            };
            let method = if number.is_multiple_of(2) { "GET" } else { &method };
            let method = Method::from_bytes(method.as_bytes()).expect("a token");
            let path = format!("{number}/{}?{}", "p".repeat((number % 3000) as usize), "q=1&".repeat(100));
            attacker.send(attacker.request(method, &path)).await;
        }
    })
    .await;
}

/// Each check of a secret is costly on purpose.
pub(super) async fn sign_ins(mut attacker: Attacker) {
    at_once(&mut attacker, 8, |mut attacker| async move {
        let mut pace = pace(50);
        loop {
            pace.tick().await;
            let number: u64 = attacker.rng.random();
            let name =
                if number.is_multiple_of(3) { attacker.target.victim.clone() } else { format!("k{number}") };
            let request = attacker.request(Method::GET, "info");
            attacker.send(request.header("authorization", basic(&name, &number.to_string()))).await;
        }
    })
    .await;
}

/// Signed in, to calls that read bodies of different types.
pub(super) async fn bodies(mut attacker: Attacker) {
    at_once(&mut attacker, 2, |mut attacker| async move {
        let mut pace = pace(400);
        loop {
            pace.tick().await;
            let body = SHAPES[attacker.rng.random_range(0..SHAPES.len())]();
            let calls = ["add_template", "create_task", "add_storage", "create_batch"];
            let call = calls[attacker.rng.random_range(0..calls.len())];
            attacker.call(Method::POST, call, body).await;
        }
    })
    .await;
}

/// The worst bodies.
const SHAPES: &[fn() -> String] = &[
    // lists within lists, objects within objects
    || "[".repeat(BODY_BYTES),
    || r#"{"a":"#.repeat(BODY_BYTES / 5),
    || format!("{}{}", "[".repeat(BODY_BYTES / 2), "]".repeat(BODY_BYTES / 2)),
    // unknown fields without number, and the same one again and again
    || object(BODY_BYTES / 12, |number| format!(r#""u{number:x}":0"#)),
    || object(BODY_BYTES / 24, |_| r#""format":"mp4""#.to_owned()),
    || object(BODY_BYTES / 12, |_| r#""tasks":[]"#.to_owned()),
    // one giant key, number or text
    || format!(r#"{{"{}":0}}"#, "k".repeat(BODY_BYTES)),
    || format!(r#"{{"priority":{}}}"#, "9".repeat(BODY_BYTES - 32)),
    || format!(r#"{{"quality":0.{}e-9}}"#, "1".repeat(BODY_BYTES - 32)),
    || format!(r#"{{"description":"{}"}}"#, r"\u0000".repeat(BODY_BYTES / 6 - 8)),
    // a long name that stands before each of many values
    || {
        let (key, zeros) = ("k".repeat(BODY_BYTES / 2), "0,".repeat(BODY_BYTES / 4 - 64));
        format!(r#"{{"{key}":[{zeros}0]}}"#)
    },
    // many small values where a list of tasks belongs
    || format!(r#"{{"tasks":[{}{{}}]}}"#, "{},".repeat(BODY_BYTES / 3 - 64)),
    || format!(r#"{{"adaptive_streams":[{}0]}}"#, "0,".repeat(BODY_BYTES / 2 - 64)),
];

fn object(count: usize, field: fn(usize) -> String) -> String {
    let fields: Vec<_> = (0..count).map(field).collect();
    let mut object = format!("{{{}}}", fields.join(","));
    object.truncate(BODY_BYTES);
    object
}
