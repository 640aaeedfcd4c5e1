//! A 2 s clip becomes an MP4: submit to callback received, beyond what the bare encode takes.

mod product;

use std::time::Instant;

use product::{Product, ffmpeg, median, tempdir};

const ROUNDS: usize = 15;

#[tokio::main]
async fn main() {
    let mut product = Product::start().await;
    let source = product.files.path().join("clip.mp4");
    let source = source.to_str().expect("a path");
    let make = format!(
        "-f lavfi -i testsrc2=s=1280x720:r=25:d=2 -f lavfi -i sine=440:d=2 -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac {source}"
    );
    ffmpeg(&make.split_whitespace().collect::<Vec<_>>());
    let storage = product.add_storage().await;

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let began = Instant::now();
        let task = product.create_task(&storage, "mp4-720p", "clip.mp4", &format!("{round}.mp4")).await;
        ours.push(product.told(&task).await - began);

        let out = tempdir();
        let encode = format!(
            "-i {source} -c:v libx264 -preset medium -crf 23 -pix_fmt yuv420p -c:a aac -b:a 128k -ar 48000 -movflags +faststart {}/bare.mp4",
            out.path().display()
        );
        bare.push(ffmpeg(&encode.split_whitespace().collect::<Vec<_>>()));
    }
    let (ours, bare) = (median(ours), median(bare));
    println!("2 s clip, submit to callback: {ours:.0?}; the bare encode: {bare:.0?}");
    println!("beyond the bare encode: {:.0?} (to reach: 300ms)", ours.saturating_sub(bare));
}
