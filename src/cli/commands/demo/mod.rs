//! `borealis demo`: the whole way once, as a customer sees it. A video goes in over the API, comes
//! out as MP4, HLS, DASH and FLV, and signed callbacks arrive.
//!
//! Everything runs on the loopback address and in one folder: a server as a child process, and in this
//! process a file server for the input and a receiver of callbacks. The outputs stay; everything else is
//! removed when all went well, and kept for inspection when it did not.

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

use self::{folder::DemoFolder, input::InputServer, server::DemoServer};
use super::{
    listen::{ListenOptions, Listener, ReceivedAttempt, SignatureCheck},
    task::CreateTaskAnswer,
};
use crate::{
    cli::{
        self,
        client::ApiClient,
        follow::{WatchedTask, follow},
        print::print_line,
        progress::Board,
    },
    config::{Flags, Settings},
};

/// How long a callback may take after its task has ended: three attempts, and some time more.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(30);

/// What is made: a predefined template of each format, and the output's path.
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

/// Runs the subcommand.
pub(super) async fn run(args: DemoArgs) -> cli::Result {
    let settings = Settings::load(&Flags::default())?;
    let tools = media::Programs::find(settings.media.tools.as_deref())?;
    let folder = DemoFolder::create()?;
    let (mut server, client) = DemoServer::spawn(&folder, &tools)?;
    let outcome = tokio::select! {
        outcome = run_demo(&args, &tools, &folder, &client) => outcome,
        ended = server.unexpected_end() => ended,
        stopped = cli::stop_signal() => {
            stopped?;
            server.kill().await?;
            folder.remove_all()?;
            return Err("interrupted; everything was removed".into());
        }
    };
    let outcome = match outcome {
        Ok(()) => server.stop().await,
        failed => server.kill().await.and(failed),
    };
    if let Err(error) = outcome {
        return Err(format!("{error}\n{}", folder.log_tail()).into());
    }
    if args.keep {
        return print_line(&format!("\nEverything is in {0}; rm -r {0} removes it", folder.path().display()));
    }
    folder.keep_outputs()?;
    print_line(&format!("\nThe outputs stay until you remove them: rm -r {}", folder.path().display()))
}

async fn run_demo(
    args: &DemoArgs,
    tools: &media::Programs,
    folder: &DemoFolder,
    client: &ApiClient,
) -> cli::Result {
    let file = match &args.file {
        Some(file) => file.clone(),
        None => input::make_sample(tools, folder.path()).await?,
    };
    let input = InputServer::start(file).await?;
    let secret = sign::generate_secret();
    let mut listener =
        Listener::start(ListenOptions { secret: Some(secret.clone()), ..ListenOptions::default() }).await?;
    server::wait_until_ready(client).await?;
    print_line(&format!("server    {}", client.server()))?;

    let storage = json!({
        "type": "file", "bucket": "demo", "notify": listener.url(), "notify_secret": secret.expose(),
    });
    let AddStorageAnswer { storage_id } = client.post_json("add_storage", &storage).await?;
    print_line(&format!("storage   {storage_id}, which tells {}", listener.url()))?;
    print_line(&format!("input     {}", input.url))?;

    let ended = transcode(client, &storage_id, &input).await?;
    let callbacks = receive_callbacks(&mut listener, &ended).await?;
    for task in ended {
        let callback = &callbacks[&task.task_id];
        let path = folder.object_file(&task.output)?;
        print_line(&format!("\noutput: {}", path.display()))?;
        print_line(&format!(
            "callback: {}, attempt {}, {}",
            callback.id, callback.attempt, callback.signature
        ))?;
        print_line(&callback.json().to_string())?;
    }
    Ok(())
}

/// The answer to `add_storage`.
#[derive(Deserialize)]
struct AddStorageAnswer {
    storage_id: String,
}

/// Makes every output, all at the same time; each must succeed.
async fn transcode(
    client: &ApiClient,
    storage_id: &str,
    input: &InputServer,
) -> cli::Result<Vec<WatchedTask>> {
    let board = Board::new(|text| {
        // a standard output that nobody reads any more fails at the next line that matters
        let _ = print_line(text);
    });
    let mut watched = Vec::new();
    for (template, output) in OUTPUTS {
        let body = json!({
            "template_name": template, "storage_id": storage_id, "input": input.url, "output": output,
            "custom_info": template,
        });
        let CreateTaskAnswer { task_id } = client.post_json("create_task", &body).await?;
        let mut meter = board.meter(template);
        watched.push(async move { follow(client, &task_id, &mut meter).await?.into_success() });
    }
    try_join_all(watched).await
}

/// Waits for the callback of every task; each must be signed and say that its task succeeded.
async fn receive_callbacks(
    listener: &mut Listener,
    tasks: &[WatchedTask],
) -> cli::Result<BTreeMap<String, ReceivedAttempt>> {
    let mut callbacks = BTreeMap::new();
    while let Some(missing) = tasks.iter().find(|task| !callbacks.contains_key(&task.task_id)) {
        let received = timeout(CALLBACK_TIMEOUT, listener.next())
            .await
            .ok()
            .flatten()
            .ok_or_else(|| format!("the callback of task {} did not arrive", missing.task_id))?;
        callbacks.insert(succeeded_task(&received)?, received);
    }
    Ok(callbacks)
}

/// The id of the task that a verified callback reports as succeeded.
fn succeeded_task(received: &ReceivedAttempt) -> cli::Result<String> {
    if received.signature != SignatureCheck::Verified {
        return Err(format!("callback {}: {}", received.id, received.signature).into());
    }
    let body: Value = received.json();
    let task = &body["data"][0];
    match (task["task_id"].as_str(), task["status"].as_str()) {
        (Some(task_id), Some("succeeded")) => Ok(task_id.to_owned()),
        _ => Err(format!("callback {} does not tell of a success: {body}", received.id).into()),
    }
}
