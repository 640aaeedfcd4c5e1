//! Segments go into the storage while others are still being made, and none of them stays when the task
//! fails.
//!
//! FFmpeg is given the first part of the input, and the rest when the test says so: what the test sees in
//! between is the state half-way, however fast the machine is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use model::StorageType;
use rstest::rstest;
use serde_json::{Value, json};
use storage::{Storages, testing::ObjectStoreServer};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::{
    media_files::{assert_decodes, make_with_ffmpeg, noise, tools},
    object_stores,
    receiver::Receiver,
    session::Session,
};
use crate::wait::until;

/// Short, so that the draft of a cancelled task is soon removed.
const LEASE: &str = "worker.lease=6s";

/// The main object of every task here, and the folder of all others.
const MAIN: &str = "cat/master.m3u8";
const FOLDER: &str = "cat/master.hls";

/// A server whose FFmpeg stops half-way.
struct Halved {
    session: Session,
    receiver: Receiver,
    storage: String,
    flags: [String; 4],
    gate: Gate,
    /// The part of the input that FFmpeg is given after the first one.
    rest: Vec<u8>,
    _folder: TempDir,
}

impl Halved {
    async fn start(storage: Value) -> Self {
        Self::with(storage, noise).await
    }

    /// With an input that `clip` makes in a folder.
    async fn with(storage: Value, clip: fn(&Path) -> Vec<u8>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clip = clip(folder.path());
        let first = clip.len() / 2;
        let gate = folder.path().join("gate");
        rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .expect("made");
        let tools = stopping_tools(folder.path(), first, &gate);
        // inside the sandbox it could not see the gate
        let flags = [
            format!("media.tools={}", tools.display()),
            "media.sandbox=off".to_owned(),
            LEASE.to_owned(),
            // FFmpeg waits for the test, however slow the machine is
            "media.stall=1h".to_owned(),
        ];
        let rest = clip[first..].to_vec();
        let set: Vec<&str> = flags.iter().flat_map(|flag| ["--set", flag]).collect();
        let session = Session::start(&set, [("clip.mp4", clip)].into()).await;
        let receiver = Receiver::start(200).await;
        let mut fields = json!({"notify": receiver.url});
        for (name, value) in storage.as_object().expect("fields") {
            if name != "notify" {
                fields[name] = value.clone();
            }
        }
        let storage = session.add_storage(fields).await.id;
        let streams = json!([{"resolution": "72p"}, {"resolution": "36p"}]);
        let template =
            json!({"template_name": "small", "format": "hls", "seg_time": 1, "adaptive_streams": streams});
        session.post("add_template", template).await;
        Self { session, receiver, storage, flags, gate: Gate(gate), rest, _folder: folder }
    }

    async fn create_task(&self, early: bool) -> String {
        let body = json!({
            "template_name": "small", "storage_id": self.storage, "input": self.session.url("clip.mp4"),
            "output": "cat", "extra_options": {"early_playlist": early},
        });
        self.session.post("create_task", body).await["task_id"].as_str().expect("an id").to_owned()
    }

    /// The pipe that FFmpeg reads next, as soon as it has opened it.
    async fn open_gate(&self) -> tokio::fs::File {
        tokio::fs::OpenOptions::new().write(true).open(&self.gate.0).await.expect("it is a pipe")
    }

    /// Gives FFmpeg the rest of the input.
    async fn send_rest(&self) {
        self.open_gate().await.write_all(&self.rest).await.expect("it reads on");
    }

    /// As [`Halved::send_rest`], for an FFmpeg that ends before it has read all of it, and for the next one,
    /// which finds the rest in a file.
    async fn send_rest_twice(&self) {
        let mut gate = self.open_gate().await;
        let rest = self.gate.0.with_extension("rest");
        fs::write(&rest, &self.rest).expect("written");
        fs::rename(rest, &self.gate.0).expect("moved");
        // it fails when FFmpeg has ended
        let _ = gate.write_all(&self.rest).await;
    }

    /// Lets the input end after its first part.
    async fn cut_off(&self) {
        drop(self.open_gate().await);
    }

    /// The task's entry in the next callback.
    async fn next_callback(&mut self) -> Value {
        self.receiver.next().await.body()["data"][0].take()
    }

    /// The objects that are there, with their bytes.
    fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let bucket = self.session.server.data.path().join("storage/media");
        let mut objects = BTreeMap::new();
        collect(&bucket, &bucket, &mut objects);
        objects
    }

    fn keys(&self) -> BTreeSet<String> {
        self.objects().into_keys().collect()
    }

    /// An object as a text; none where it is not.
    fn text(&self, key: &str) -> Option<String> {
        fs::read_to_string(self.session.server.data.path().join("storage/media").join(key)).ok()
    }

    fn is_there(&self, key: &str) -> bool {
        self.session.server.data.path().join("storage/media").join(key).is_file()
    }

    /// Waits until the keys of the objects are as `is_so` says; gives them.
    async fn wait_until(&self, is_so: impl Fn(&BTreeSet<String>) -> bool) -> BTreeSet<String> {
        let mut keys = self.keys();
        until(|| {
            keys = self.keys();
            is_so(&keys)
        })
        .await;
        keys
    }

    /// Waits until the task is half-way: segments of every stream are in the storage. Gives all keys.
    async fn wait_until_half_way(&self) -> BTreeSet<String> {
        self.wait_until(has_segments).await
    }

    /// Kills the server, and starts another with real tools and these flags.
    async fn kill_and_restart(&mut self, flags: &[&str]) {
        self.session.server.kill().await;
        let flags = [&["--set", self.flags[2].as_str()], flags].concat();
        self.session.server.restart(&flags).await;
    }
}

/// The named pipe through which FFmpeg gets the rest of the input.
struct Gate(PathBuf);

impl Drop for Gate {
    fn drop(&mut self) {
        // an FFmpeg of a killed server may still wait for a writer
        let _ = fs::OpenOptions::new().read(true).write(true).open(&self.0);
    }
}

fn has_segments(keys: &BTreeSet<String>) -> bool {
    ["72p", "36p", "audio"].iter().all(|stream| keys.contains(&format!("{FOLDER}/{stream}/seg_00002.ts")))
}

/// As `noise`, with AC-3 audio that has two channels for 20 s, and six for the rest.
fn broadcast(folder: &Path) -> Vec<u8> {
    let make = |args: &str, name: &str| make_with_ffmpeg(&folder.join(name), args);
    let audios = [("stereo", 20), ("5.1", 12)].map(|(layout, seconds)| {
        let noise = format!("-f lavfi -i anoisesrc=d={seconds}:a=0.1 -af aformat=channel_layouts={layout}");
        make(&format!("{noise} -c:a ac3 -b:a 384k"), &format!("{layout}.ac3"))
    });
    let audio = folder.join("audio.ac3");
    fs::write(&audio, audios.concat()).expect("written");
    let words = format!(
        "-f lavfi -i testsrc2=s=128x72:r=25:d=32,noise=alls=60:allf=t -i {} -c:v libx264 -preset ultrafast \
         -pix_fmt yuv420p -c:a copy",
        audio.display()
    );
    make(&words, "broadcast.mkv")
}

/// A folder with the media tools, but for FFmpeg: where it encodes, it reads `first` bytes of its input (a
/// file, or a pipe with an input that is still being fetched), and then the gate.
fn stopping_tools(folder: &Path, first: usize, gate: &Path) -> PathBuf {
    let (tools, real) = (folder.join("tools"), tools());
    fs::create_dir(&tools).expect("made");
    for (name, program) in [("ffprobe", &real.ffprobe), ("packager", &real.packager)] {
        std::os::unix::fs::symlink(program.canonicalize().expect("there"), tools.join(name)).expect("made");
    }
    let (real, gate) = (real.ffmpeg.canonicalize().expect("there"), gate.display());
    let script = format!(
        "#!/bin/sh\nPATH=/usr/bin:/bin\n\
         case \" $* \" in *' -progress '*) ;; *) exec '{real}' \"$@\" ;; esac\n\
         input=/dev/stdin\n\
         for word do\n shift\n case $word in file:*/input) input=${{word#file:}} word=pipe:0 ;; esac\n set -- \"$@\" \"$word\"\ndone\n\
         {{ head -c {first} \"$input\"; cat '{gate}'; }} | '{real}' \"$@\"\n",
        real = real.display()
    );
    let file = tools.join("ffmpeg");
    fs::write(&file, script).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("ours");
    tools
}

/// Every object below a folder, by its key. Files that are still being written are not objects.
fn collect(bucket: &Path, folder: &Path, objects: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name() == ".writing" {
            continue;
        }
        if path.is_dir() {
            collect(bucket, &path, objects);
        } else if let Ok(bytes) = fs::read(&path) {
            let key = path.strip_prefix(bucket).expect("below").to_str().expect("text");
            objects.insert(key.to_owned(), bytes);
        }
    }
}

/// The playlists among the objects.
fn playlists(keys: &BTreeSet<String>) -> Vec<&String> {
    keys.iter().filter(|key| key.ends_with(".m3u8")).collect()
}

/// The URIs in a playlist.
pub(super) fn uris(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| match line.split_once("URI=\"") {
        Some((_, uri)) => uri.split('"').next(),
        None => Some(line).filter(|line| !line.is_empty() && !line.starts_with('#')),
    })
}

/// The keys of the main playlist, of the playlists in it, and of all that these name.
fn reachable_keys(halved: &Halved) -> BTreeSet<String> {
    let mut keys = BTreeSet::from([MAIN.to_owned()]);
    let mut unread = vec![MAIN.to_owned()];
    while let Some(playlist) = unread.pop() {
        let folder = playlist.rsplit_once('/').expect("a folder").0;
        for uri in uris(&halved.text(&playlist).expect("a playlist")) {
            let key = format!("{folder}/{uri}");
            if keys.insert(key.clone()) && key.ends_with(".m3u8") {
                unread.push(key);
            }
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_there_before_the_encoder_is_done() {
    let mut halved = Halved::start(json!({})).await;
    let id = halved.create_task(false).await;
    let half = halved.wait_until_half_way().await;
    // progress is written once a second
    while halved.session.task(&id).await["status"] == "downloading" {}
    assert_eq!(halved.session.task(&id).await["status"], "running");
    assert_eq!(playlists(&half), Vec::<&String>::new());
    assert!(!half.contains(&format!("{FOLDER}/72p/seg_00024.ts")), "{half:?}");

    halved.send_rest().await;
    let entry = halved.next_callback().await;
    assert_eq!(entry["status"], "succeeded", "{entry}");
    let objects = halved.objects();
    assert_decodes(&halved.session.object(entry["output"].as_str().expect("a URI")));
    let bytes: usize = objects.values().map(Vec::len).sum();
    assert_eq!(entry["output_size"], bytes, "{entry}");
    halved.session.server.stop().await;
}

/// The audio's parameters change after segments were stored, so that the run begins again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_of_a_run_that_begins_again() {
    let mut halved = Halved::with(json!({}), broadcast).await;
    halved.create_task(false).await;
    let half = halved.wait_until_half_way().await;
    for key in &half {
        fs::write(halved.session.object(&format!("file://media/{key}")), "of the first run")
            .expect("written");
    }
    halved.send_rest_twice().await;
    let entry = halved.next_callback().await;
    assert_eq!(entry["status"], "succeeded", "{entry}");
    assert!((entry["duration"].as_f64().expect("seconds") - 32.0).abs() < 0.1, "{entry}");
    let objects = halved.objects();
    let stale = objects.iter().filter(|(_, bytes)| bytes.starts_with(b"of the first run"));
    assert_eq!(stale.map(|(key, _)| key).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(reachable_keys(&halved), halved.keys());
    let bytes: usize = objects.values().map(Vec::len).sum();
    assert_eq!(entry["output_size"], bytes, "{entry}");
    assert_decodes(&halved.session.object(entry["output"].as_str().expect("a URI")));
    halved.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_playlists_grow_and_name_only_what_is_there() {
    let mut halved = Halved::start(json!({})).await;
    halved.create_task(true).await;
    halved.wait_until(|keys| keys.contains(MAIN)).await;
    let main = halved.text(MAIN).expect("there");
    let renditions: Vec<String> = uris(&main).map(|uri| format!("cat/{uri}")).collect();
    assert_eq!(renditions.iter().collect::<BTreeSet<_>>().len(), 3, "{main}");

    let read = || {
        let mut read = Vec::new();
        for playlist in &renditions {
            let (text, folder) = (halved.text(playlist).expect("there"), playlist.rsplit_once('/'));
            let folder = folder.expect("a folder").0;
            assert!(text.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n") && !text.contains("ENDLIST"), "{text}");
            for segment in uris(&text) {
                assert!(halved.is_there(&format!("{folder}/{segment}")), "{playlist}: {text}");
            }
            read.push(text);
        }
        read
    };
    let first = read();
    let (mut gate, more) = (halved.open_gate().await, halved.rest.len() / 2);
    gate.write_all(&halved.rest[..more]).await.expect("it reads on");
    let mut grown = read();
    until(|| {
        grown = read();
        assert!(grown.iter().zip(&first).all(|(now, first)| now.starts_with(first.as_str())), "{grown:?}");
        grown.iter().zip(&first).all(|(now, first)| now.len() > first.len())
    })
    .await;
    gate.write_all(&halved.rest[more..]).await.expect("it reads on");
    drop(gate);
    let entry = halved.next_callback().await;
    assert_eq!(entry["status"], "succeeded", "{entry}");
    for (playlist, grown) in renditions.iter().zip(grown) {
        let whole = halved.text(playlist).expect("there");
        assert!(whole.starts_with(&grown.replace("EVENT", "VOD")), "{whole}");
        assert!(whole.ends_with("#EXT-X-ENDLIST\n"), "{whole}");
    }
    assert_decodes(&halved.session.object(entry["output"].as_str().expect("a URI")));
    halved.session.server.stop().await;
}

#[rstest]
#[case::segments(false)]
#[case::playlists_too(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_of_what_failed_half_way(#[case] early: bool) {
    let mut halved = Halved::start(json!({})).await;
    halved.create_task(early).await;
    halved.wait_until_half_way().await;
    if early {
        halved.wait_until(|keys| keys.contains(MAIN)).await;
    }
    halved.cut_off().await;
    let entry = halved.next_callback().await;
    assert_eq!((&entry["status"], &entry["error_code"]), (&json!("failed"), &json!(1003)), "{entry}");
    assert_eq!(halved.keys(), BTreeSet::new());
    halved.session.server.stop().await;
}

#[rstest]
#[case::segments(false)]
#[case::playlists_too(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_of_what_was_cancelled_half_way(#[case] early: bool) {
    let mut halved = Halved::start(json!({})).await;
    let id = halved.create_task(early).await;
    halved.wait_until_half_way().await;
    halved.session.post(&format!("cancel_task?task_id={id}"), Value::Null).await;
    assert_eq!(halved.next_callback().await["error_code"], 1401);
    halved.session.call(reqwest::Method::DELETE, &format!("del_task?task_id={id}"), Value::Null).await;
    halved.wait_until(BTreeSet::is_empty).await;
    halved.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_half_way_it_ends_well_and_nothing_stray_stays() {
    let mut halved = Halved::start(json!({})).await;
    halved.create_task(true).await;
    halved.wait_until_half_way().await;
    // as if the first try had come farther than the output is long
    let stray = halved.session.object(&format!("file://media/{FOLDER}/72p/seg_99999.ts"));
    fs::write(&stray, "left").expect("written");
    halved.kill_and_restart(&[]).await;
    let entry = halved.next_callback().await;
    assert_eq!(entry["status"], "succeeded", "{entry}");
    assert!(!stray.exists());
    let bytes: usize = halved.objects().values().map(Vec::len).sum();
    assert_eq!(entry["output_size"], bytes, "{entry}");
    assert_decodes(&halved.session.object(entry["output"].as_str().expect("a URI")));
    halved.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_half_way_and_cancelled_nothing_stays() {
    let mut halved = Halved::start(json!({})).await;
    let id = halved.create_task(true).await;
    halved.wait_until(|keys| keys.contains(MAIN)).await;
    halved.kill_and_restart(&["--no-worker"]).await;
    assert!(halved.keys().contains(MAIN), "a task that is tried again keeps what it has");
    halved.session.post(&format!("cancel_task?task_id={id}"), Value::Null).await;
    halved.wait_until(BTreeSet::is_empty).await;
    halved.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_output_stays_as_it_is_when_the_next_task_fails() {
    let mut halved = Halved::start(json!({})).await;
    halved.create_task(false).await;
    halved.send_rest().await;
    assert_eq!(halved.next_callback().await["status"], "succeeded");
    let before = halved.objects();

    halved.create_task(true).await;
    halved.cut_off().await;
    assert_eq!(halved.next_callback().await["status"], "failed");
    assert!(halved.objects() == before, "{:?}", halved.keys());

    // and is replaced when it succeeds
    halved.create_task(true).await;
    halved.send_rest().await;
    assert_eq!(halved.next_callback().await["status"], "succeeded");
    assert_eq!(halved.keys(), before.into_keys().collect());
    halved.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_the_same_in_an_object_store() {
    let (folder, net) = (tempfile::tempdir().expect("a folder"), object_stores::net_client());
    let server = ObjectStoreServer::s3(&net, &[object_stores::BUCKET]).await;
    let storage = object_stores::test_storage(&server, StorageType::S3);
    let bucket = Storages::new(folder.path().join("storage"), net).open(&storage).expect("the bucket opens");
    let mut halved = Halved::start(object_stores::storage_fields(&server, StorageType::S3, "")).await;
    halved.create_task(true).await;
    let listed = async || bucket.list("out/").await.expect("listed").into_iter().collect::<BTreeSet<_>>();
    while !listed().await.contains(&format!("out/{MAIN}")) {}
    let half = listed().await;
    assert!(half.iter().any(|key| key.ends_with("/seg_00001.ts")), "{half:?}");
    halved.cut_off().await;
    assert_eq!(halved.next_callback().await["status"], "failed");
    assert_eq!(listed().await, BTreeSet::new());

    halved.create_task(true).await;
    halved.send_rest().await;
    let entry = halved.next_callback().await;
    assert_eq!(entry["status"], "succeeded", "{entry}");
    let main = bucket.read(&format!("out/{MAIN}")).await.expect("there");
    assert!(!media::is_growing(&String::from_utf8_lossy(&main)));
    halved.session.server.stop().await;
}
