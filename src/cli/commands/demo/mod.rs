//! `borealis demo`: the whole way once, as a customer sees it. A video goes in over the API, comes
//! out as MP4, HLS, DASH and FLV, and signed callbacks arrive.
//!
//! Everything runs on loopback and in one folder of its own: a server as a child process, a file
//! server for the input and a receiver for the callbacks in this one. The outputs stay; the rest is
//! removed when all went well, and kept to be looked at when it did not.

mod folder;
mod input;
mod server;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use callback::sign;
use clap::Args;
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use self::{folder::Folder, input::InputServer, server::Server};
use super::{
    listen::{ListenOptions, Listener, Received, Signature},
    task::Created,
};
use crate::cli::{
    client::Client,
    follow::{Seen, follow},
    print::line,
    progress::Board,
};
use crate::config::{Flags, Settings};

/// How long a callback may take after its task ended: three attempts, and some patience.
const CALLBACK_WITHIN: Duration = Duration::from_secs(30);

/// What is made, with the predefined template of each format.
const OUTPUTS: [(&str, &str); 4] = [
    ("mp4-720p", "mp4/video.mp4"),
    ("hls-h264", "hls/master.m3u8"),
    ("dash-h264", "dash/manifest.mpd"),
    ("flv-720p", "flv/video.flv"),
];

/// The arguments of `borealis demo`.
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// The video to transcode; without it one of ten seconds is made
    file: Option<PathBuf>,
    /// Keep the server's database and log beside the outputs
    #[arg(long)]
    keep: bool,
}

/// Shows it, and leaves the outputs.
pub(super) async fn run(args: DemoArgs) -> crate::cli::Result {
    let settings = Settings::load(&Flags::default())?;
    let tools = media::Tools::find(settings.media.tools.as_deref())?;
    let folder = Folder::create()?;
    let (mut server, client) = Server::spawn(&folder, &tools)?;
    let shown = tokio::select! {
        shown = show(&args, &tools, &folder, &client) => shown,
        ended = server.ended() => ended,
        stopped = crate::cli::asked_to_stop() => {
            stopped?;
            server.kill().await?;
            folder.remove_all()?;
            return Err("interrupted; everything was removed".into());
        }
    };
    let shown = match shown {
        Ok(()) => server.stop().await,
        failed => server.kill().await.and(failed),
    };
    if let Err(error) = shown {
        return Err(format!("{error}\n{}", folder.last_words()).into());
    }
    if args.keep {
        return line(&format!("\nEverything is in {0}; rm -r {0} removes it", folder.path().display()));
    }
    folder.keep_outputs()?;
    line(&format!("\nThe outputs stay until you remove them: rm -r {}", folder.path().display()))
}

async fn show(args: &DemoArgs, tools: &media::Tools, folder: &Folder, client: &Client) -> crate::cli::Result {
    let file = match &args.file {
        Some(file) => file.clone(),
        None => input::make_sample(tools, folder.path()).await?,
    };
    let input = InputServer::start(file).await?;
    let secret = sign::generate_secret();
    let mut listener =
        Listener::start(ListenOptions { secret: Some(secret.clone()), ..ListenOptions::default() }).await?;
    server::ready(client).await?;
    line(&format!("server    {}", client.server()))?;

    let storage = json!({
        "type": "file", "bucket": "demo", "notify": listener.url(), "notify_secret": secret.expose(),
    });
    let Added { storage_id } = client.send("add_storage", &storage).await?;
    line(&format!("storage   {storage_id}, which tells {}", listener.url()))?;
    line(&format!("input     {}", input.url))?;

    let ended = transcode(client, &storage_id, &input).await?;
    let told = callbacks(&mut listener, &ended).await?;
    for task in ended {
        let received = &told[&task.task_id];
        let path = folder.stored(&task.output)?;
        line(&format!("\noutput: {}", path.display()))?;
        line(&format!("callback: {}, attempt {}, {}", received.id, received.attempt, received.signature))?;
        line(&received.json().to_string())?;
    }
    Ok(())
}

/// What `add_storage` answers.
#[derive(Deserialize)]
struct Added {
    storage_id: String,
}

/// Makes every output, all at once; each must succeed.
async fn transcode(client: &Client, storage_id: &str, input: &InputServer) -> crate::cli::Result<Vec<Seen>> {
    let board = Board::new(|text| {
        // a reader that went away shows at the next line of importance
        let _ = line(text);
    });
    let mut watched = Vec::new();
    for (template, output) in OUTPUTS {
        let body = json!({
            "template_name": template, "storage_id": storage_id, "input": input.url, "output": output,
            "custom_info": template,
        });
        let Created { task_id } = client.send("create_task", &body).await?;
        let mut meter = board.meter(template);
        watched.push(async move { follow(client, &task_id, &mut meter).await?.succeeded() });
    }
    try_join_all(watched).await
}

/// Waits for the callback of every task; each must be signed and say that its task succeeded.
async fn callbacks(
    listener: &mut Listener,
    tasks: &[Seen],
) -> crate::cli::Result<BTreeMap<String, Received>> {
    let mut told = BTreeMap::new();
    while let Some(missing) = tasks.iter().find(|task| !told.contains_key(&task.task_id)) {
        let received = timeout(CALLBACK_WITHIN, listener.next())
            .await
            .ok()
            .flatten()
            .ok_or_else(|| format!("the callback of task {} did not arrive", missing.task_id))?;
        told.insert(succeeded_task(&received)?, received);
    }
    Ok(told)
}

/// The id of the task that a callback tells about.
fn succeeded_task(received: &Received) -> crate::cli::Result<String> {
    if received.signature != Signature::Verified {
        return Err(format!("callback {}: {}", received.id, received.signature).into());
    }
    let body: Value = received.json();
    let task = &body["data"][0];
    match (task["task_id"].as_str(), task["status"].as_str()) {
        (Some(task_id), Some("succeeded")) => Ok(task_id.to_owned()),
        _ => Err(format!("callback {} does not tell of a success: {body}", received.id).into()),
    }
}
