//! `zerobus doctor`: what a load depends on, step by step, each with what to do if it fails.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

mod report;

use report::{Report, Status};

use super::flags;
use super::grants;
use super::record::declared;
use crate::cli::{DoctorArgs, OutputArg};
use crate::client::{Network, Peer, WorkspaceId};
use crate::error::{Failure, Kind, exit};
use crate::load::{Signals, lacks_privileges, service_failure};
use crate::protocol::{Fault, FaultClass};
use crate::schema::{CatalogTable, RecordPlan, TableName, check, columns};
use crate::settings::{Service, environment};
use crate::transcode::Target;

pub(super) async fn run(args: DoctorArgs) -> Result<u8, Failure> {
    let mut signals = Signals::listen();
    let mut report = Report::default();
    let examined = async {
        examine(&args, &mut report).await;
        Ok(())
    };
    signals.unless_interrupted(examined).await?;
    super::print(&match args.output {
        OutputArg::Text => report.text(),
        OutputArg::Json => report.json(),
    })?;
    Ok(match report.is_well() {
        true => exit::OK,
        false => exit::FAILED,
    })
}

async fn examine(args: &DoctorArgs, report: &mut Report) {
    // The record's own file needs no network, and is checked whatever is wrong with that.
    let message = match declared(&args.record) {
        Ok(message) => message,
        Err(failure) => {
            report.failed("record", &failure);
            None
        }
    };
    let service = match Service::resolve(&args.service, &environment) {
        Ok(service) => service,
        Err(failure) => return report.failed("settings", &failure),
    };
    settings(&service, report);
    let is_reached = reach(
        Server::Endpoint,
        &service.endpoint,
        &service.network,
        report,
    )
    .await;
    let workspace_reached = match &service.workspace_url {
        Some(url)
            if is_same(url, &service.endpoint)
                && service.network.proxy_to(url) == service.network.http_proxy_to(url) =>
        {
            is_reached
        }
        Some(url) => reach(Server::Workspace, url, &service.network, report).await,
        None => {
            report.skipped("workspace", "none is given, and a token needs none");
            false
        }
    };
    let Some(table) = &args.table else {
        return report.skipped("token", "for a table: give --table");
    };
    if !workspace_reached && service.credentials.needs_workspace() {
        return report.skipped("token", "the workspace cannot be reached");
    }
    let mut tokens = match flags::tokens(table, &service) {
        Ok(tokens) => tokens,
        Err(failure) => return report.failed("token", &failure),
    };
    let patience = service.credentials.patience();
    match in_time(tokens.token(), patience).await {
        Ok(_) if service.credentials.needs_workspace() => {
            let asked = matches!(service.workspace_id, WorkspaceId::Asked { .. });
            let id = tokens.workspace_id().await.ok().filter(|_| asked);
            let workspace = id.map_or(String::new(), |id| format!(" in workspace {id}"));
            report.ok("token", format!("to write to {table}{workspace}"));
        }
        Ok(_) => report.ok(
            "token",
            "one is given; table and stream tell whether it is good",
        ),
        Err(fault) => {
            refused("token", &fault, table, &service, report);
            return;
        }
    }
    let mut known = None;
    if workspace_reached {
        match in_time(tokens.fetch_table(), patience).await {
            Ok(found) => {
                let columns = found.columns.len();
                report.ok("table", format!("{table}: {columns} columns"));
                known = Some(found);
            }
            Err(fault) => {
                refused("table", &fault, table, &service, report);
                return;
            }
        }
    } else {
        report.skipped("table", "no workspace to ask for its columns");
    }
    let plan = match record(args, message.as_ref(), table, known.as_ref(), report) {
        Some(plan) => plan,
        None => return,
    };
    if !is_reached {
        return report.skipped("stream", "the endpoint cannot be reached");
    }
    let connector = match flags::connector(table, &Target::Proto(plan), &service, tokens) {
        Ok(connector) => connector,
        Err(failure) => return report.failed("stream", &failure),
    };
    match connector.try_out().await {
        Ok(id) => report.ok(
            "stream",
            format!("{id} was opened and closed, nothing was sent"),
        ),
        Err(fault) => refused("stream", &fault, table, &service, report),
    }
}

/// How long a step may take that has no limit of its own.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);

async fn in_time<T>(
    step: impl Future<Output = Result<T, Fault>>,
    patience: Duration,
) -> Result<T, Fault> {
    let timeout = STEP_TIMEOUT + patience;
    let late = || Fault::transient(format!("no answer within {} s", timeout.as_secs()));
    let ended = tokio::time::timeout(timeout, step).await;
    ended.unwrap_or_else(|_| Err(late()))
}

/// Each setting and where it comes from.
fn settings(service: &Service, report: &mut Report) {
    let mut lines = Vec::new();
    for shown in &service.shown {
        lines.push(shown.to_string());
        report.settings.push(json!({
            "name": shown.name,
            "value": shown.value,
            "from": shown.from.to_string(),
        }));
    }
    lines.extend(service.warnings.iter().map(|w| format!("warning: {w}")));
    report.push("settings", Status::Ok, lines, None);
}

/// A server that a load talks to.
#[derive(Debug, Clone, Copy)]
enum Server {
    Endpoint,
    Workspace,
}

impl Server {
    /// The steps to reach it, and where it is given.
    fn steps(self) -> ([&'static str; 3], &'static str) {
        match self {
            Self::Endpoint => (["dns", "tcp", "tls"], "check --endpoint (ZEROBUS_ENDPOINT)"),
            Self::Workspace => (
                ["ws dns", "ws tcp", "ws tls"],
                "check --workspace-url (DATABRICKS_HOST)",
            ),
        }
    }
}

const CHECK_PROXY: &str =
    "check grpc_proxy, https_proxy and http_proxy; no_grpc_proxy and no_proxy go without";

/// Name, connection and handshake. Tells whether all of it works.
async fn reach(server: Server, url: &str, network: &Network, report: &mut Report) -> bool {
    let ([dns, tcp, tls], check) = server.steps();
    let unreachable =
        |message: String, hint: &str| Failure::new(Kind::Unavailable, message).hint(hint);
    let proxy = match server {
        Server::Endpoint => network.proxy_to(url),
        Server::Workspace => network.http_proxy_to(url),
    };
    let through = match &proxy {
        Some(proxy) => format!(" (the proxy to {url}: {proxy})"),
        None => String::new(),
    };
    let peer = match Peer::of(proxy.as_deref().unwrap_or(url)) {
        Ok(peer) => peer,
        Err(why) => {
            report.failed(dns, &unreachable(why, check));
            return false;
        }
    };
    let Peer { host, port } = &peer;
    let addresses = match peer.look_up().await {
        Ok(addresses) => addresses,
        Err(why) => {
            let message = format!("{host}{through} is not found: {why}");
            let hint = format!("{check}, and that this machine can look names up");
            report.failed(dns, &unreachable(message, &hint));
            return false;
        }
    };
    report.ok(dns, format!("{host} is {}{through}", addresses[0].ip()));
    match peer.reach(&addresses).await {
        Ok(address) => report.ok(tcp, format!("connected to {address}")),
        Err(why) => {
            let message = format!("{host}:{port}{through} does not answer: {why}");
            let hint = match proxy {
                Some(_) => CHECK_PROXY.to_owned(),
                None => format!(
                    "{check}, and that no firewall is between; a proxy is given by https_proxy"
                ),
            };
            report.failed(tcp, &unreachable(message, &hint));
            return false;
        }
    }
    let shaken = match server {
        Server::Endpoint => network.shake_hands(url).await,
        Server::Workspace => network.greet(url).await,
    };
    match shaken {
        Ok(()) if url.starts_with("https://") => report.ok(tls, "the certificate is trusted"),
        Ok(()) => report.ok(tls, "none: http:// is not encrypted"),
        Err(fault) => {
            let mut failure = service_failure(&fault);
            if fault.class != FaultClass::Untrusted {
                let hint = match (fault.hint.filter(|_| proxy.is_some()), &proxy) {
                    (Some(hint), _) => hint,
                    (None, Some(_)) => CHECK_PROXY,
                    (None, None) => check,
                };
                failure = unreachable(fault.message, hint);
            }
            report.failed(tls, &failure);
            return false;
        }
    }
    true
}

/// The record, and whether it fits the table, field by field.
fn record(
    args: &DoctorArgs,
    message: Option<&prost_reflect::MessageDescriptor>,
    table: &TableName,
    known: Option<&CatalogTable>,
    report: &mut Report,
) -> Option<Arc<RecordPlan>> {
    if report.steps.iter().any(|s| s.name == "record") {
        report.skipped("stream", "the record is not known");
        return None;
    }
    let of_table = known.map_or(&[][..], |table| &table.columns);
    let types = &args.record.types;
    let plan = match message {
        Some(message) => RecordPlan::over_table(message, types, of_table),
        None if known.is_none() => {
            report.skipped("record", "no --proto, and no table to make it of");
            report.skipped("stream", "the record is not known");
            return None;
        }
        None => RecordPlan::of_table(table, types, of_table),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            report.failed("record", &error.into());
            report.skipped("stream", "the record is not known");
            return None;
        }
    };
    let fields = columns::of_record(&plan).len();
    let name = &plan.name;
    let Some(known) = known else {
        report.ok(
            "record",
            format!("{name}: {fields} fields; not compared with the table"),
        );
        return Some(Arc::new(plan));
    };
    let problems = check::problems(&plan, &known.columns);
    if problems.is_empty() {
        let detail = format!("{name}: {fields} of {fields} fields fit the table");
        report.ok("record", detail);
        return Some(Arc::new(plan));
    }
    let mut lines = vec![format!("{name} does not fit {table}:")];
    lines.extend(problems);
    let hint = "change the .proto or the table, field by field; zerobus schema show prints what the service will see";
    report.push("record", Status::Failed, lines, Some(hint.to_owned()));
    report.skipped("stream", "the record does not fit");
    None
}

/// A step that a server has refused; for want of privileges, with what grants them.
fn refused(
    name: &'static str,
    fault: &Fault,
    table: &TableName,
    service: &Service,
    report: &mut Report,
) {
    let failure = service_failure(fault);
    if lacks_privileges(&failure) {
        let id = service.credentials.client_id();
        report.grants = grants::statements(table, id).collect();
    }
    report.failed(name, &failure);
}

fn is_same(a: &str, b: &str) -> bool {
    Peer::of(a).is_ok_and(|a| Peer::of(b) == Ok(a))
}
