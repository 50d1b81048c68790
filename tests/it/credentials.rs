//! Who asks: each source of credentials, which one counts where several are given, how tokens
//! are renewed, and that no secret is ever shown.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::{AIR, Ran, Rig, Server, air_row, numbers, sample, signal};

/// Flags and variables.
type Given = (&'static [&'static str], Variables);
type Variables = &'static [(&'static str, &'static str)];

/// Ways to say who asks, those first that count before the others: a name, flags, variables,
/// keys of the profile, and the origins that are shown for it.
type Way = (
    &'static str,
    &'static [&'static str],
    Variables,
    Variables,
    &'static [&'static str],
);

const WAYS: [Way; 9] = [
    ("token", &["--token", "t0"], &[], &[], &["--token"]),
    (
        "token file",
        &["--token-file", "secret"],
        &[],
        &[],
        &["--token-file"],
    ),
    (
        "token command",
        &["--token-command", "cat secret"],
        &[],
        &[],
        &["--token-command"],
    ),
    (
        "flags",
        &["--client-id", "f", "--client-secret-file", "secret"],
        &[],
        &[],
        &["--client-id", "--client-secret-file"],
    ),
    (
        "federated flag",
        &["--federated-token-file", "secret"],
        &[],
        &[],
        &["--federated-token-file"],
    ),
    (
        "ZEROBUS_TOKEN",
        &[],
        &[("ZEROBUS_TOKEN", "t1")],
        &[],
        &["ZEROBUS_TOKEN"],
    ),
    (
        "environment",
        &[],
        &[
            ("DATABRICKS_CLIENT_ID", "e"),
            ("DATABRICKS_CLIENT_SECRET", "s3cret-e"),
        ],
        &[],
        &["DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"],
    ),
    (
        "federated variable",
        &[],
        &[("DATABRICKS_OIDC_TOKEN_FILEPATH", "secret")],
        &[],
        &["DATABRICKS_OIDC_TOKEN_FILEPATH"],
    ),
    (
        "profile",
        &[],
        &[],
        &[("client_id", "p"), ("client_secret", "s3cret-p")],
        &[
            "client_id of profile DEFAULT",
            "client_secret of profile DEFAULT",
        ],
    ),
];

/// Where the credentials come from that a command would use, by `zerobus doctor`.
fn origins(ways: &[&Way], more: &[&str]) -> Result<Vec<String>, Ran> {
    let rig = Rig::new();
    rig.file("secret", "s3cret-of-file\n");
    let profile: Vec<_> = ways.iter().flat_map(|w| w.3).collect();
    let lines = profile.iter().map(|(k, v)| format!("{k} = {v}\n"));
    rig.file(
        ".databrickscfg",
        format!("[DEFAULT]\n{}", lines.collect::<String>()),
    );
    // Nobody is there: the settings are shown all the same.
    let local = "http://127.0.0.1:1";
    let mut command = rig.command(["doctor", "-o", "json", "--endpoint", local]);
    command.args(["--workspace-url", local]).args(more);
    command.env("HOME", rig.path());
    for (_, flags, variables, ..) in ways {
        command.args(*flags).envs(variables.iter().copied());
    }
    let ran = Ran::of(&command.output().unwrap());
    if ran.code == 2 {
        return Err(ran);
    }
    let report = ran.summary();
    let settings = report["settings"].as_array().unwrap();
    let about = |s: &&Value| {
        let name = s["name"].as_str().unwrap();
        [
            "token",
            "client_id",
            "client_secret",
            "federated_token_file",
        ]
        .contains(&name)
    };
    let origin = |s: &Value| {
        assert!(!s["value"].to_string().contains("s3cret"), "{s}");
        s["from"].as_str().unwrap().to_owned()
    };
    let origins: Vec<String> = settings.iter().filter(about).map(origin).collect();
    match origins.is_empty() {
        true => Err(ran),
        false => Ok(origins),
    }
}

#[track_caller]
fn come_from(origins: &[String], way: &Way) {
    let matching = origins
        .iter()
        .filter(|o| way.4.iter().any(|w| o.starts_with(w)));
    assert_eq!(matching.count(), way.4.len(), "{}: {origins:?}", way.0);
}

#[test]
fn each_source_serves_and_of_two_the_first_counts() {
    let by_flags = |way: &Way| !way.1.is_empty();
    for (index, first) in WAYS.iter().enumerate() {
        come_from(&origins(&[first], &[]).unwrap(), first);
        for second in &WAYS[index + 1..] {
            let both = origins(&[first, second], &[]);
            if by_flags(first) && by_flags(second) {
                let ran = both.unwrap_err();
                assert!(ran.stderr.contains("cannot be used with"), "{ran:#?}");
                continue;
            }
            let both = both.unwrap_or_else(|ran| panic!("{} {}: {ran:#?}", first.0, second.0));
            come_from(&both, first);
            // A profile that a flag names comes before the environment.
            if second.0 == "profile" && !by_flags(first) {
                let named = origins(&[first, second], &["--profile", "DEFAULT"]).unwrap();
                come_from(&named, second);
            }
        }
    }
}

#[test]
fn id_and_secret_come_from_one_place() {
    let rig = Rig::new();
    rig.file("secret", "s3cret-of-file");
    rig.file(
        "cfg",
        "[DEFAULT]\n[half]\nclient_id = p\n[pat]\ntoken = s3cret-dapi\n",
    );
    let told = |flags: &[&str], variables: &[(&str, &str)]| {
        let local = "http://127.0.0.1:1";
        let mut command = rig.command(["ingest", "--table", AIR, "--endpoint", local, "-"]);
        command.args(["--workspace-url", local]).args(flags);
        command.env("DATABRICKS_CONFIG_FILE", rig.path().join("cfg"));
        command.envs(variables.iter().copied());
        let ran = Ran::of(&command.output().unwrap()).exits(1);
        assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
        let dir = rig.path().display().to_string();
        let lines = ran.stderr.replace(&dir, "DIR");
        lines.lines().next().unwrap().to_owned()
    };
    let id = ("DATABRICKS_CLIENT_ID", "e");
    let secret = ("DATABRICKS_CLIENT_SECRET", "s3cret-e");
    let seen = [
        told(&["--client-id", "f"], &[secret]),
        told(&["--client-secret-file", "secret"], &[id]),
        told(&["--profile", "half"], &[secret]),
        told(&[], &[id]),
        told(&[], &[secret]),
        told(&["--profile", "pat"], &[]),
        told(&[], &[("DATABRICKS_TOKEN", "s3cret-dapi")]),
        told(&["--profile", "none"], &[id, secret]),
        told(&["--header", "authorization=s3cret"], &[id, secret]),
        told(&["--header", "x-y=s3cret\u{1}"], &[id, secret]),
        told(&["--ca-cert", "secret"], &[id, secret]),
        told(&["--token-file", "gone"], &[]),
    ];
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn a_broken_file_of_profiles_matters_only_where_it_is_needed() {
    let rig = Rig::new();
    rig.file("rows.ndjson", air_row(1));
    rig.file("cfg", "[DEFAULT]\n[open\nclient_secret = s3cret\n");
    let server = rig.emulator(&["--auto-create"]);
    let with = |more: &[&str]| {
        let mut command = rig.remote(&server, more);
        command
            .env("DATABRICKS_CONFIG_FILE", "cfg")
            .arg("rows.ndjson");
        Ran::of(&command.output().unwrap())
    };
    let ran = with(&[]).exits(0);
    assert!(ran.stderr.contains("warning: cfg"), "{ran:#?}");
    let named = with(&["--profile", "open"]).exits(1);
    assert!(
        named.stderr.contains("is no file of profiles"),
        "{named:#?}"
    );
    assert!(!format!("{ran:?}{named:?}").contains("s3cret"));
}

/// Rows that are loaded with `more`, into the table of a server.
fn load(rig: &Rig, server: &Server, more: &[&str], secretless: bool) -> Ran {
    let mut command = rig.remote(server, &["--recovery-backoff", "10ms"]);
    if secretless {
        command.env_remove("DATABRICKS_CLIENT_ID");
        command.env_remove("DATABRICKS_CLIENT_SECRET");
    }
    Ran::of(&command.args(more).arg("rows.ndjson").output().unwrap())
}

/// A script that asks a server for a token and prints the answer's JSON, and notes each run.
fn minting(rig: &Rig, server: &Server) -> String {
    let details = serde_json::json!(crate::wire::details(AIR)).to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "all-apis"),
        (
            "resource",
            "api://databricks/workspaces/local/zerobusDirectWriteApi",
        ),
        ("authorization_details", details.as_str()),
    ];
    let url = reqwest::Url::parse_with_params("http://x", form).unwrap();
    let body = url.query().unwrap();
    let (id, secret) = (
        server.env("DATABRICKS_CLIENT_ID"),
        server.env("DATABRICKS_CLIENT_SECRET"),
    );
    let (host, port) = server
        .address()
        .rsplit_once(':')
        .map(|(h, p)| (h.to_owned(), p.to_owned()))
        .unwrap();
    let script = format!(
        "echo run >> runs\n\
         exec 3<>/dev/tcp/{host}/{port}\n\
         basic=$(printf %s '{id}:{secret}' | base64 -w0)\n\
         printf 'POST /oidc/v1/token HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\nauthorization: Basic %s\\r\\ncontent-type: application/x-www-form-urlencoded\\r\\ncontent-length: {}\\r\\n\\r\\n%s' \"$basic\" '{body}' >&3\n\
         sed '1,/^\\r$/d' <&3\n",
        body.len()
    );
    rig.file("mint.sh", script);
    "PATH=/usr/bin:/bin; exec bash mint.sh".to_owned()
}

#[test]
fn a_command_that_prints_tokens_is_run_again_when_one_expires() {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..50_000).map(air_row).collect::<String>());
    let server = rig.emulator(&[
        "--auto-create",
        "--fault",
        "expire-tokens:after=10000,times=2",
    ]);
    let command = minting(&rig, &server);
    let ran = load(&rig, &server, &["--token-command", &command], true).exits(0);
    assert_eq!(ran.summary()["records"]["acked"], 50_000);
    let runs = std::fs::read_to_string(rig.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 3, "{runs}");
    for (command, told) in [
        (
            "echo not the token; echo s3cret-word is not it >&2; echo s3cret-word; exit 3",
            "has failed with exit status: 3: *** is not it",
        ),
        (
            "echo '{\"access_token\":\"s3cret-in-json\"}'; echo s3cret-in-json is refused >&2; exit 1",
            "exit status: 1: *** is refused",
        ),
        ("exit 0", "has printed nothing"),
        ("echo two words", "has printed several words"),
    ] {
        let ran = load(&rig, &server, &["--token-command", command], true).exits(1);
        assert!(ran.stderr.contains(told), "{told}: {ran:#?}");
        assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
        assert_eq!(ran.summary()["error"]["kind"], "credentials");
    }
}

#[test]
fn a_token_file_is_read_again_when_its_token_is_refused() {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..15_000).map(air_row).collect::<String>());
    let drops = "drop:after=5000,times=2";
    let server = rig.emulator(&["--auto-create", "--token-ttl", "1s", "--fault", drops]);
    let command = minting(&rig, &server);
    // Somebody keeps the file fresh, as Kubernetes does.
    let renew = || {
        let mut shell = Command::new("/bin/sh");
        let output = shell
            .args(["-c", &command])
            .current_dir(rig.path())
            .output();
        let answer: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let new = rig.file("token.new", answer["access_token"].as_str().unwrap());
        std::fs::rename(new, rig.path().join("token")).unwrap();
    };
    renew();
    let flags = [
        "--token-file",
        "token",
        "--rate-limit",
        "5000",
        "--table-check",
        "off",
    ];
    let done = std::sync::atomic::AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                renew();
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        });
        let ran = load(&rig, &server, &flags, true);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        ran
    });
    let summary = ran.exits(0).summary();
    assert_eq!(summary["records"]["acked"], 15_000);
    assert_eq!(summary["streams"][0]["reconnects"], 2);
}

#[test]
fn a_jwt_is_exchanged_and_read_again_each_time() {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..1_000).map(air_row).collect::<String>());
    rig.file("jwt", "s3cret.jwt.one\n");
    let server = rig.emulator(&[
        "--auto-create",
        "--federated-token-file",
        "jwt",
        "--client",
        "me:s3cret-of-me",
        "--token-ttl",
        "1s",
    ]);
    let flags = ["--federated-token-file", "jwt", "--client-id", "me"];
    load(&rig, &server, &flags, true).exits(0);
    // The account's policy needs no client id.
    load(&rig, &server, &flags[..2], true).exits(0);
    rig.file("stale", "s3cret.jwt.stale");
    for flags in [
        ["--federated-token-file", "stale", "--client-id", "me"],
        ["--federated-token-file", "jwt", "--client-id", "other"],
    ] {
        let ran = load(&rig, &server, &flags, true).exits(1);
        assert!(ran.stderr.contains("federation policy"), "{ran:#?}");
        assert!(ran.stderr.contains("client_id="), "{ran:#?}");
        assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
    }
    assert_eq!(numbers(&rig.air_rows()).len(), 2_000);
}

#[test]
fn streams_go_through_a_proxy_and_its_password_is_not_told() {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..1_000).map(air_row).collect::<String>());
    let server = rig.emulator(&["--auto-create", "--no-auth"]);
    let proxy = connect_proxy(server.address());
    // A name that only the proxy knows.
    let flags = [
        "--endpoint",
        "http://zerobus.invalid:1",
        "--allow-plaintext",
        "--token-file",
        "token",
        "--table-check",
        "off",
        "--header",
        "x-gateway-key=s3cret-header",
        "--workspace-url",
        "http://127.0.0.1:1",
        "-v",
    ];
    rig.file("token", "s3cret-token");
    let through = |variable: &str, value: &str| {
        let mut command = rig.remote(&server, &["--recovery-retries", "0"]);
        command.args(flags).arg("rows.ndjson");
        command.env(variable, value);
        Ran::of(&command.output().unwrap())
    };
    let url = format!("http://user:s3cret-password@{proxy}");
    for variable in ["grpc_proxy", "HTTPS_PROXY", "http_proxy"] {
        let ran = through(variable, &url).exits(0);
        assert_eq!(ran.summary()["records"]["acked"], 1_000);
        assert!(
            ran.stderr.contains(&format!("the proxy http://{proxy}")),
            "{ran:#?}"
        );
        assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
    }
    let ran = through("grpc_proxy", "http://s3cret-user:s3cret-pass@127.0.0.1:1").exits(5);
    assert!(
        ran.stderr.contains("through the proxy http://127.0.0.1:1"),
        "{ran:#?}"
    );
    assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
    through("no_proxy", "*").exits(5);
    let ran = through("https_proxy", ":::u:s3cret@").exits(1);
    assert!(
        ran.stderr.contains("https_proxy is not the URL of a proxy"),
        "{ran:#?}"
    );
    assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
}

/// A proxy that leads every CONNECT with the right password to this server.
fn connect_proxy(server: String) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(client.try_clone().unwrap());
            while reader.read_line(&mut head).unwrap() > 2 {}
            assert!(head.starts_with("CONNECT zerobus.invalid:1 "), "{head}");
            // user:s3cret-password
            assert!(head.contains("dXNlcjpzM2NyZXQtcGFzc3dvcmQ="), "{head}");
            let mut target = std::net::TcpStream::connect(&server).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut back, mut from) = (client.try_clone().unwrap(), target.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut back));
            std::thread::spawn(move || std::io::copy(&mut client, &mut target));
        }
    });
    address
}

#[test]
fn tokens_come_through_pipes_and_are_looked_at() {
    let rig = Rig::new();
    rig.file("rows.ndjson", air_row(1));
    rig.file("token", "a-token-of-some-length\n");
    rig.file("broken", "a-token-of\nsome-length\n");
    let server = rig.emulator(&["--auto-create", "--no-auth"]);
    let mut command = Command::new("bash");
    command.args([
        "-c",
        "exec \"$0\" \"$@\" --token-file <(cat token)",
        crate::rig::ZEROBUS,
    ]);
    command.args([
        "ingest",
        "--table",
        AIR,
        "--proto",
        &sample("air_quality.proto"),
    ]);
    command.args(["--table-check", "off", "rows.ndjson"]);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(rig.path());
    command.env("ZEROBUS_ENDPOINT", server.url());
    Ran::of(&command.output().unwrap()).exits(0);
    // A secret, too, with a checkpoint: it can be read only once.
    let known = rig.emulator(&[
        "--auto-create",
        "--client",
        "me:secret-of-me",
        "--dir",
        "other",
    ]);
    rig.file("secret", "secret-of-me\n");
    let mut command = Command::new("bash");
    let script = "exec \"$0\" \"$@\" --client-id me --client-secret-file <(cat secret)";
    command.args(["-c", script, crate::rig::ZEROBUS]);
    command.args([
        "ingest",
        "--table",
        AIR,
        "--proto",
        &sample("air_quality.proto"),
    ]);
    command.args(["--checkpoint", "cp", "rows.ndjson"]);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(rig.path());
    command
        .env("ZEROBUS_ENDPOINT", known.url())
        .env("DATABRICKS_HOST", known.url());
    Ran::of(&command.output().unwrap()).exits(0);
    let ran = load(&rig, &server, &["--token-file", "broken"], true).exits(1);
    assert!(
        ran.stderr.contains("the token holds a line's end"),
        "{ran:#?}"
    );
    // Nobody ever writes to it.
    let made = Command::new("mkfifo").arg(rig.path().join("pipe")).status();
    assert!(made.unwrap().success());
    let ran = load(&rig, &server, &["--token-file", "pipe"], true).exits(1);
    assert!(ran.stderr.contains("nothing came within 10 s"), "{ran:#?}");
}

#[test]
fn the_workspace_is_asked_again_for_its_id_if_it_fails() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let workspace = format!("http://{}", listener.local_addr().unwrap());
    let (seen, bodies) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (asked, tcp) in listener.incoming().enumerate() {
            let mut tcp = BufReader::new(tcp.unwrap());
            let mut head = String::new();
            while tcp.read_line(&mut head).unwrap() > 2 {}
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |n| n.parse().unwrap())];
            tcp.read_exact(&mut body).unwrap();
            let (status, answer) = match head.starts_with("GET /.well-known/databricks-config") {
                true if asked == 0 => ("503 Busy", "{}"),
                true => ("200 OK", "{\"workspace_id\": 777}"),
                false => ("200 OK", "{\"access_token\": \"t\", \"expires_in\": 60}"),
            };
            if !body.is_empty() {
                let _ = seen.send(String::from_utf8(body).unwrap());
            }
            let length = answer.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
            );
            let _ = tcp.get_mut().write_all(answer.as_bytes());
        }
    });
    let rig = Rig::new();
    rig.file("rows.ndjson", air_row(1));
    rig.file("secret", "s3cret-of-me");
    let proto = sample("air_quality.proto");
    let mut command = rig.command(["ingest", "--table", AIR, "--proto", &proto]);
    // No number in front, and nobody there.
    command.args([
        "--endpoint",
        "http://dbc-1.localhost:1",
        "--allow-plaintext",
    ]);
    command.args(["--workspace-url", &workspace, "--table-check", "off"]);
    command.args(["--client-id", "me", "--client-secret-file", "secret"]);
    command.args(["--recovery-backoff", "10ms", "rows.ndjson"]);
    Ran::of(&command.output().unwrap()).exits(5);
    let body = bodies.recv().unwrap();
    assert!(body.contains("workspaces%2F777%2F"), "{body}");
}

#[test]
fn a_ca_is_trusted_besides_those_of_the_system() {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..1_000).map(air_row).collect::<String>());
    let mut server = rig.emulator(&["--auto-create", "--tls"]);
    server.env.retain(|(name, _)| name != "SSL_CERT_FILE");
    load(&rig, &server, &["--ca-cert", "wh/ca.pem"], false).exits(0);
    let ran = load(&rig, &server, &[], false).exits(1);
    assert!(ran.stderr.contains("--ca-cert FILE"), "{ran:#?}");
}

/// All files below a directory, but for those of these names.
fn files(dir: &Path, but: &[&str]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path, but));
        } else if !but.contains(&name.as_str()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_secret_is_in_any_output_or_file() {
    let rig = Rig::new();
    let mut rows: String = (0..20_000).map(air_row).collect();
    rows.push_str("{\"temp\": \"x\"}\n");
    rig.file("rows.ndjson", rows);
    rig.file("secret", "s3cret-of-file");
    rig.file(
        "cfg",
        "[DEFAULT]\nclient_id = me\nclient_secret = s3cret-of-me\n",
    );
    let server = rig.emulator(&["--auto-create", "--client", "me:s3cret-of-me"]);
    let proto = sample("air_quality.proto");
    let ways: [Given; 7] = [
        (
            &["--client-id", "me", "--client-secret", "s3cret-of-me"],
            &[],
        ),
        (&["--client-id", "me", "--client-secret=s3cret-wrong"], &[]),
        (&["--token", "s3cret-token"], &[]),
        (&["--token-command", "echo s3cret-token"], &[]),
        (&["--token-file", "secret"], &[]),
        (&[], &[("DATABRICKS_CONFIG_FILE", "cfg")]),
        (&[], &[("ZEROBUS_TOKEN", "s3cret-token")]),
    ];
    let mut outputs = Vec::new();
    for (flags, variables) in ways {
        for more in [
            &["-v", "--max-errors", "5"][..],
            &["-q", "-o", "json"],
            &[
                "--checkpoint",
                "cp",
                "--resume",
                "-v",
                "--metrics-file",
                "load.prom",
            ],
            &["--no-recovery", "--skip", "3", "-o", "json"],
        ] {
            for (verb, own) in [
                (
                    "ingest",
                    [&["--rejects", "bad", "rows.ndjson"][..], more].concat(),
                ),
                ("doctor", Vec::new()),
            ] {
                let mut command = rig.command([verb, "--table", AIR, "--proto", &proto]);
                command.args(["--header", "x-key=s3cret-header"]);
                command.args(flags).args(own);
                let endpoint = [
                    ("ZEROBUS_ENDPOINT", server.url()),
                    ("DATABRICKS_HOST", server.url()),
                ];
                command.envs(endpoint).envs(variables.iter().copied());
                outputs.push(Ran::of(&command.output().unwrap()));
            }
        }
    }
    assert!(outputs.iter().any(|ran| ran.code == 1) && outputs.iter().any(|ran| ran.code == 3));
    for ran in outputs {
        assert!(!format!("{ran:?}").contains("s3cret"), "{ran:#?}");
    }
    let written = files(rig.path(), &["rows.ndjson", "secret", "cfg"]);
    assert!(
        written.iter().any(|f| f.ends_with("cp"))
            && written.iter().any(|f| f.ends_with("load.prom"))
    );
    for file in written {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes.windows(6).any(|w| w == b"s3cret"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn a_crash_leaves_no_core() {
    let rig = Rig::new();
    // A shell lifts the limit, as far as it may.
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\"",
        crate::rig::ZEROBUS,
    ]);
    command.args(["ingest", "--local", "wh", "--table", AIR, "--proto"]);
    command.args([&sample("air_quality.proto"), "-", "--progress", "none"]);
    command.env_clear().current_dir(rig.path());
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    use std::io::Write as _;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(air_row(1).as_bytes()).unwrap();
    rig.wait_for_version(1);
    signal(&child, "ABRT");
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped(), "{status:?}");
}
