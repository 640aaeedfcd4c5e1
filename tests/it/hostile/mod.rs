//! The hostile hour: tenants attack the running product in every way of `attacks::ATTACKS`, all at once, while another
//! tenant's tasks run. That one must not notice: its outputs and callbacks come, the server answers, stays small, and
//! ends as if nothing had been.
//!
//! `cargo nextest run --workspace --run-ignored only -E 'test(/^flows::hostile_hour::/)'` has it for some minutes with
//! bounds that only a freeze breaks; `cargo bench --bench hostile` measures.
//! `BOREALIS_HOSTILE_SECONDS` is how long (an hour: 3600), `BOREALIS_HOSTILE_TASKS` how many tasks meanwhile,
//! `BOREALIS_HOSTILE_ATTACKS` which attacks, by name with commas.
//!
//! Addresses keep the parties apart as they are in a network: the server is on 127.0.0.1, which it may not call itself;
//! what it may call is in 127.1.0.0/16, and each client comes from an address of its own in 127.2.0.0/16.

mod attacker;
mod attacks;
mod customer;
mod product;
mod report;
mod watch;

use std::{
    env,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use self::{
    attacker::Attacker,
    attacks::{ATTACKS, Attack},
    customer::Customer,
    product::Product,
    watch::Watch,
};
pub(crate) use report::{Bounds, Report};

/// What the server may call.
const PEER_NETWORK: &str = "127.1.0.0/16";

/// How long the customer's tasks may take beyond the time in which they are created.
const MAX_OVERTIME: Duration = Duration::from_secs(1200);

/// How the hour goes.
pub(crate) struct Plan {
    /// How long it is attacked, at least; it goes on until the customer's tasks have ended.
    pub(crate) time: Duration,
    /// The customer's tasks, which are created evenly in this time.
    pub(crate) tasks: usize,
    attacks: Vec<&'static Attack>,
}

impl Plan {
    /// As the environment says; so long unless it does.
    pub(crate) fn from_environment(default_time: Duration) -> Self {
        let number = |name: &str| {
            env::var(name)
                .ok()
                .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: `{text}` is no number")))
        };
        let time = number("BOREALIS_HOSTILE_SECONDS").map_or(default_time, Duration::from_secs);
        let tasks = number("BOREALIS_HOSTILE_TASKS").map_or(200, |tasks| tasks as usize);
        let attacks = match env::var("BOREALIS_HOSTILE_ATTACKS") {
            Ok(names) => names.split(',').filter(|name| !name.is_empty()).map(attack_of_name).collect(),
            Err(_) => ATTACKS.iter().filter(|attack| attack.is_known_to_hold()).collect(),
        };
        Self { time, tasks, attacks }
    }
}

fn attack_of_name(name: &str) -> &'static Attack {
    let names: Vec<_> = ATTACKS.iter().map(|attack| attack.name).collect();
    let found = ATTACKS.iter().find(|attack| attack.name == name);
    found.unwrap_or_else(|| panic!("there is no attack `{name}`; there are {names:?}"))
}

/// Runs it to its end.
pub(crate) async fn run(plan: Plan) -> Report {
    // each test process installs it once
    let _ = rustls::crypto::ring::default_provider().install_default();
    raise_limit_of_files();
    let files = tempfile::tempdir().expect("a folder");
    attacks::make_media(files.path());
    let mut product = Product::start().await;
    let mut customer = Customer::prepare(&product, files.path()).await;
    let before = product.memory();

    let stop = CancellationToken::new();
    let watch = Watch::start(&product, stop.clone());
    let (attackers, secrets) = attackers(&plan, &product, &customer, files.path()).await;
    let tallies = attackers.iter().map(|(attack, attacker)| (*attack, attacker.tally.clone())).collect();
    let attackers = run_attackers(attackers, stop.clone());
    let tasks = customer.run_tasks(plan.tasks, plan.time, MAX_OVERTIME).await;
    stop.cancel();
    attackers.await.expect("the attackers end");
    let watched = watch.end().await;

    let outputs = customer.check_outputs(&product, &tasks).await;
    let memory = product.peak_memory();
    let end = product.stop().await;
    let log = product.read_log(&[customer.secrets(), secrets].concat());
    let waits = log.callback_waits(&tasks);
    let failed_calls = customer.failed_calls;
    Report {
        plan_tasks: plan.tasks,
        tasks,
        outputs,
        failed_calls,
        waits,
        watched,
        before,
        memory,
        end,
        log,
        tallies,
    }
}

/// An attacker for each attack, each with a key and an address of its own; and their secrets.
async fn attackers(
    plan: &Plan,
    product: &Product,
    customer: &Customer,
    files: &std::path::Path,
) -> (Vec<(&'static Attack, Attacker)>, Vec<String>) {
    let (mut attackers, mut secrets) = (Vec::new(), vec![attacks::PLANTED_SECRET.to_owned()]);
    for (number, attack) in (1..).zip(&plan.attacks) {
        let key = product.add_key(attack.name).await;
        secrets.push(key.1.clone());
        let address = IpAddr::from(Ipv4Addr::new(127, 2, 1, number));
        let victim = customer.access_key().to_owned();
        let target = attacker::Target { server: product.address(), victim, clip: customer.input.clone() };
        attackers.push((*attack, Attacker::new(Arc::new(target), key, address, number.into(), files)));
    }
    (attackers, secrets)
}

/// Attacks until it is to stop, on threads of their own. These give way to all others: in a network they would not
/// take the server's processors.
fn run_attackers(
    attackers: Vec<(&'static Attack, Attacker)>,
    stop: CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let attack = move || {
        let yielding = || rustix::process::setpriority_process(None, 10).expect("it may give way");
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().on_thread_start(yielding);
        runtime.build().expect("a runtime").block_on(async {
            let mut running = tokio::task::JoinSet::new();
            for (attack, attacker) in attackers {
                running.spawn((attack.run)(attacker));
            }
            stop.cancelled().await;
            running.shutdown().await;
        });
    };
    tokio::task::spawn_blocking(attack)
}

/// Hundreds of clients and servers are played here, with a file descriptor each.
fn raise_limit_of_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum.map(|most| most.min(16_384));
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit anyone may");
}

/// Runs FFmpeg or ffprobe to its end; gives what it wrote.
fn run_tool(tool: &str, args: &[&str]) -> String {
    let tools = env::var_os("BOREALIS_TOOLS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools"), PathBuf::from);
    let output = Command::new(tools.join(tool)).args(["-v", "error"]).args(args).output().expect("it runs");
    assert!(output.status.success(), "{tool} {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}
