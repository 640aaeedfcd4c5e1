//! The client against a name server that lies, and servers on loopback that must receive nothing.

mod stub;

use std::{net::SocketAddr, process::Command, sync::Arc, time::Duration};

use borealis_net::{Client, ClientOptions, Exchange, Guard, NetError, NetErrorKind, UrlProblem};
use reqwest::{Method, Request};
use rstest::rstest;
use stub::{DnsAnswer, NameServer, Traffic, WebServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

const PUBLIC_ADDRESS: &str = "93.184.216.34";

fn client(allow: &[&str], name_server: Option<SocketAddr>) -> Client {
    client_with(allow, name_server, ClientOptions::default())
}

fn client_with(allow: &[&str], name_server: Option<SocketAddr>, options: ClientOptions) -> Client {
    let allow = allow.iter().map(|network| network.parse().expect("a network")).collect();
    let name_servers = name_server.map(|address| vec![address]);
    Client::new(Arc::new(Guard::new(allow)), ClientOptions { name_servers, ..options }).expect("a client")
}

fn get(url: Url) -> Request {
    Request::new(Method::GET, url)
}

async fn send_error(client: &Client, request: Request) -> NetError {
    let error = client.send(request).await.expect_err("refused");
    assert!(!error.to_string().contains("hidden"), "{error} holds the query");
    error
}

/// Reads the body, so that the connection goes back into the pool.
async fn finish(exchange: Exchange) {
    assert_eq!(exchange.response.text().await.expect("a body"), "ok");
}

#[rstest]
#[case(&["10.0.0.1"], "a private address")]
#[case(&[PUBLIC_ADDRESS, "10.0.0.1"], "a private address")]
#[case(&["10.0.0.1", PUBLIC_ADDRESS], "a private address")]
#[case(&[PUBLIC_ADDRESS, "::1"], "a loopback address")]
#[case(&["::1"], "a loopback address")]
#[case(&["2606:4700::1", "fd00::1"], "a private address")]
#[case(&["2606:4700::1", "::ffff:10.0.0.1"], "a private address")]
#[case(&[PUBLIC_ADDRESS, "64:ff9b::a9fe:a9fe"], "the address of a cloud's metadata service")]
#[tokio::test]
async fn one_forbidden_address_rejects_the_answer(#[case] addresses: &[&str], #[case] kind: &'static str) {
    let names = NameServer::start([DnsAnswer::addresses(addresses)]).await;
    let client = client(&[], Some(names.address));
    let url: Url = "http://victim.example/?sig=hidden".parse().expect("a url");

    let error = send_error(&client, get(url.clone())).await;
    assert_eq!(error.to_string(), format!("forbidden: `victim.example` resolves to {kind}"));
    assert_eq!(error.kind, NetErrorKind::Forbidden);
    assert!(error.timing.dns.is_some() && error.timing.connect.is_none());

    let host = "victim.example".to_owned();
    assert_eq!(client.check_url(&url).await, Err(UrlProblem::ForbiddenName { host, kind }));
}

#[tokio::test]
async fn a_name_that_is_rebound_is_checked_again() {
    let names =
        NameServer::start([DnsAnswer::addresses(&[PUBLIC_ADDRESS]), DnsAnswer::addresses(&["127.0.0.1"])])
            .await;
    let server = WebServer::start().await;
    let client = client(&[], Some(names.address));
    let url = server.url("rebinding.example");

    assert_eq!(client.check_url(&url).await, Ok(()));
    assert_eq!(send_error(&client, get(url)).await.kind, NetErrorKind::Forbidden);
    assert_eq!(names.look_ups().len(), 2, "one for each use of the name");
    assert_eq!(server.traffic(), Traffic::default());
}

#[tokio::test]
async fn an_attempt_looks_up_once_and_a_pooled_connection_not_at_all() {
    let names = NameServer::start([DnsAnswer::addresses(&["127.0.0.1"])]).await;
    let server = WebServer::start().await;
    let client = client(&["127.0.0.0/8"], Some(names.address));

    let first = client.send(get(server.url("service.example"))).await.expect("an answer");
    assert_eq!(first.timing.address, Some(server.address));
    assert!(first.timing.dns.is_some() && first.timing.connect.is_some());
    assert!(first.timing.first_byte >= first.timing.connect);
    finish(first).await;

    let second = client.send(get(server.url("service.example"))).await.expect("an answer");
    assert_eq!(second.timing.address, Some(server.address));
    assert_eq!((second.timing.dns, second.timing.connect), (None, None));
    finish(second).await;

    let third = client.send_on_new_connection(get(server.url("service.example"))).await.expect("an answer");
    assert!(third.timing.connect.is_some());
    assert_eq!(server.traffic().connections, 2);
    assert_eq!(names.look_ups(), ["service.example.", "service.example."]);
}

#[tokio::test]
async fn a_busy_connection_is_not_used_after_its_name_leads_elsewhere() {
    let server = WebServer::start().await;
    let url = server.url("moves.example");
    for (max_connection_age, second_result) in
        [(Duration::MAX, Ok(())), (Duration::ZERO, Err(NetErrorKind::Forbidden))]
    {
        let options = ClientOptions { max_connection_age, ..ClientOptions::default() };
        let addresses = [DnsAnswer::addresses(&["127.0.0.1"]), DnsAnswer::addresses(&["10.0.0.1"])];
        let names = NameServer::start(addresses).await;
        let client = client_with(&["127.0.0.0/8"], Some(names.address), options);
        finish(client.send(get(url.clone())).await.expect("an answer")).await;
        let second = client.send(get(url.clone())).await.map_err(|error| error.kind);
        assert_eq!(second.map(|_| ()), second_result, "connections are used for {max_connection_age:?}");
    }
}

#[rstest]
#[case("intranet")]
#[case("intranet.corp")]
#[case("xn--bcher-kva.example")]
#[tokio::test]
async fn names_are_looked_up_as_they_are_written(#[case] name: &str) {
    let names = NameServer::start([DnsAnswer::NoSuchName]).await;
    let client = client(&[], Some(names.address));
    let url: Url = format!("http://{name}/").parse().expect("a url");
    let error = send_error(&client, get(url)).await;
    assert_eq!(error.to_string(), format!("dns: `{name}` does not exist"));
    assert_eq!(error.permanent, name.contains('.'), "a machine without a domain comes and goes");
    assert_eq!(names.look_ups(), [format!("{name}.")]);
}

#[rstest]
#[case("my_minio")]
#[case("a_b.example")]
#[case("_tcp.old_bucket.s3.example")]
#[tokio::test]
async fn names_may_have_an_underscore(#[case] name: &str) {
    let names = NameServer::start([DnsAnswer::addresses(&["127.0.0.1"])]).await;
    let server = WebServer::start().await;
    let client = client(&["127.0.0.0/8"], Some(names.address));
    assert_eq!(client.check_url(&server.url(name)).await, Ok(()));
    finish(client.send(get(server.url(name))).await.expect("an answer")).await;
    assert_eq!(names.look_ups()[0], format!("{name}."));
}

#[tokio::test]
async fn a_host_that_is_no_name_will_never_be_one() {
    let names = NameServer::start([DnsAnswer::addresses(&["127.0.0.1"])]).await;
    let client = client(&["127.0.0.0/8"], Some(names.address));
    for host in ["a!b.example", &format!("{}.example", "a".repeat(64))] {
        let error = send_error(&client, get(format!("http://{host}/").parse().expect("a url"))).await;
        assert_eq!(error.to_string(), format!("dns: `{host}` is not a host name"));
        assert!(error.permanent, "{error}");
    }
    assert_eq!(names.look_ups(), Vec::<String>::new());
}

#[rstest]
#[case(DnsAnswer::NoSuchName, "dns: `victim.example` does not exist", true)]
#[case(DnsAnswer::addresses(&[]), "dns: `victim.example` has no address", false)]
#[case(
    DnsAnswer::ServerFailure,
    "dns: `victim.example` could not be looked up: the name server said ",
    false
)]
#[tokio::test]
async fn a_name_without_an_address_may_have_one_later_unless_it_does_not_exist(
    #[case] answer: DnsAnswer,
    #[case] text: &str,
    #[case] permanent: bool,
) {
    let names = NameServer::start([answer]).await;
    let client = client(&[], Some(names.address));
    let url: Url = "http://victim.example/".parse().expect("a url");
    let error = send_error(&client, get(url.clone())).await;
    assert_eq!(error.kind, NetErrorKind::Dns);
    assert!(error.to_string().starts_with(text), "{error}");
    assert_eq!(error.permanent, permanent, "{error}");
    assert_eq!(client.check_url(&url).await, Ok(()), "it is no reason to refuse a URL");
}

#[tokio::test]
async fn a_silent_name_server_meets_the_deadline() {
    let names = NameServer::start([DnsAnswer::Nothing]).await;
    let client = client(&[], Some(names.address));
    let mut request = get("http://victim.example/".parse().expect("a url"));
    *request.timeout_mut() = Some(Duration::from_millis(300));
    let error = send_error(&client, request).await;
    assert_eq!(error.to_string(), "timeout: no connection to victim.example:80 in time");
    assert!(!names.look_ups().is_empty());
}

#[rstest]
#[case("127.0.0.1")]
#[case("[::ffff:127.0.0.1]")]
#[case("2130706433")]
#[case("127.1")]
#[case("localhost")]
#[tokio::test]
async fn literals_are_refused_before_anything_connects(#[case] host: &str) {
    let names = NameServer::start([DnsAnswer::addresses(&[PUBLIC_ADDRESS])]).await;
    let server = WebServer::start().await;
    let client = client(&[], Some(names.address));
    let error = send_error(&client, get(server.url(host))).await;
    assert_eq!(error.kind, NetErrorKind::Forbidden);
    assert_eq!(server.traffic(), Traffic::default());
    assert!(names.look_ups().is_empty());
}

#[tokio::test]
async fn the_bare_client_sends_nothing_to_a_forbidden_literal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let client = client(&[], None);
    let (sent, received) = tokio::join!(client.reqwest().get(url).send(), async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.read(&mut [0; 1000]).await.expect("closed in order")
    });
    assert!(sent.is_err());
    assert_eq!(received, 0, "bytes of a request");
}

#[tokio::test]
async fn the_bare_client_looks_names_up_with_the_guard() {
    let names = NameServer::start([DnsAnswer::addresses(&["127.0.0.1"])]).await;
    let server = WebServer::start().await;
    let client = client(&[], Some(names.address));
    assert!(client.reqwest().get(server.url("victim.example")).send().await.is_err());
    assert_eq!((server.traffic(), names.look_ups().len()), (Traffic::default(), 1));
}

#[tokio::test]
async fn localhost_is_not_looked_up_in_dns() {
    let names = NameServer::start([DnsAnswer::NoSuchName]).await;
    let server = WebServer::start().await;
    let client = client(&["127.0.0.0/8"], Some(names.address));
    finish(client.send(get(server.url("localhost"))).await.expect("an answer")).await;
    assert!(names.look_ups().is_empty());
}

#[rstest]
#[case("ftp://a.example/")]
#[case("http://u:p@a.example/")]
#[tokio::test]
async fn unusable_urls(#[case] url: &str) {
    let client = client(&[], None);
    let error = send_error(&client, get(url.parse().expect("a url"))).await;
    assert_eq!(error.kind, NetErrorKind::BadUrl);
}

/// Runs [`connects_to_the_urls_host`] in a process whose environment names proxies at which nobody listens.
#[tokio::test]
async fn proxies_in_the_environment_are_ignored() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let unused = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--exact", "connects_to_the_urls_host"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &unused);
    }
    let output = command.env_remove("NO_PROXY").env_remove("no_proxy").output().expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}

#[tokio::test]
async fn connects_to_the_urls_host() {
    let server = WebServer::start().await;
    let client = client(&["127.0.0.0/8"], None);
    let exchange = client.send(get(server.url("127.0.0.1"))).await.expect("an answer");
    assert_eq!(exchange.timing.address, Some(server.address));
    assert_eq!(exchange.timing.dns, None);
    finish(exchange).await;
}

#[tokio::test]
async fn a_failed_handshake_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let url: Url = format!("https://{address}/?sig=hidden").parse().expect("a url");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
    });
    let error = send_error(&client(&["127.0.0.0/8"], None), get(url)).await;
    assert_eq!(error.kind, NetErrorKind::Tls, "{error}");
    assert_eq!(error.timing.address, Some(address));
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let names = NameServer::start([DnsAnswer::addresses(&["127.0.0.1"])]).await;
    let client = client(&["127.0.0.0/8"], Some(names.address));
    let url = format!("http://service.example:{}/?sig=hidden", address.port());
    let error = send_error(&client, get(url.parse().expect("a url"))).await;
    assert_eq!(error.to_string(), format!("refused: connection refused by {address}"));
    assert_eq!(error.timing.address, Some(address));
}
