//! The session as tools, asked by a client of the Model Context Protocol's own SDK.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{FIRST_BUILD, expect_answer, program, with_session};
use hotpatch_tests::session::Options;
use hotpatch_tests::workspace::{command, tool};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, JsonObject};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// A client, and the server that it started in a folder.
struct Client {
    runtime: Runtime,
    service: RunningService<RoleClient, ()>,
}

impl Client {
    fn start(folder: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut server = command(tool()?);
        server.args(["hotpatch", "mcp"]).current_dir(folder);
        let service = runtime.block_on(async {
            let server = TokioChildProcess::new(tokio::process::Command::from(server))?;
            Ok::<_, anyhow::Error>(().serve(server).await?)
        })?;
        Ok(Self { runtime, service })
    }

    /// Calls a tool and gives back whether it failed, and its answer.
    fn call(&self, name: &'static str, arguments: Value) -> Result<(bool, Value)> {
        let arguments: JsonObject = serde_json::from_value(arguments)?;
        let call = CallToolRequestParams::new(name).with_arguments(arguments);
        let result = self.runtime.block_on(self.service.call_tool(call))?;
        let value = serde_json::to_value(&result)?;
        let text = value["content"][0]["text"].clone();
        let answer = match &value["structuredContent"] {
            Value::Null => text,
            structured => structured.clone(),
        };
        Ok((value["isError"] == true, answer))
    }

    fn end(self) -> Result<()> {
        self.runtime.block_on(self.service.cancel())?;
        Ok(())
    }
}

#[test]
fn a_client_learns_what_became_of_its_edits() -> Result<()> {
    let project = program("server", "model")?;
    let client = Client::start(project.root())?;
    let about = client.service.peer_info().context("no greeting")?;
    let about = serde_json::to_value(about)?;
    ensure!(
        about["instructions"]
            .as_str()
            .is_some_and(|text| text.contains("`wait`")),
        "{about}"
    );
    let tools = client.runtime.block_on(client.service.list_all_tools())?;
    ensure!(tools.len() <= 8 && tools.iter().all(|tool| tool.description.is_some()));

    // It needs no session to start, and says what to do.
    let (failed, answer) = client.call("wait", json!({}))?;
    ensure!(
        failed
            && answer
                .as_str()
                .is_some_and(|text| text.contains("cargo hotpatch run")),
        "{answer}"
    );

    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let (failed, seen) = client.call("variables", json!({ "filter": "SHAPED" }))?;
        ensure!(!failed && seen["variables"][0]["value"] == "[0]", "{seen}");
        let (failed, why) = client.call("variables", json!({ "filter": "SHAPED", "set": "1" }))?;
        ensure!(
            failed
                && why
                    .as_str()
                    .is_some_and(|why| why.contains("cannot be set")),
            "{why}"
        );
        let (failed, seen) = client.call("functions", json!({ "filter": "answer" }))?;
        ensure!(!failed && seen["functions"][0]["generation"] == 0, "{seen}");
        let wait = || client.call("wait", json!({ "timeout": 60 }));
        ensure!(wait()?.1["verdict"] == "unchanged");
        project.replace("src/main.rs", "\"base ", "\"newer ")?;
        let (failed, patched) = wait()?;
        ensure!(!failed && patched["verdict"] == "patched", "{patched}");
        expect_answer(session, "x", "newer x")?;
        let (_, functions) = client.call("functions", json!({}))?;
        ensure!(functions["functions"][0]["generation"] == 1, "{functions}");

        project.replace(
            "src/main.rs",
            "const SHAPE: usize = 1",
            "const SHAPE: usize = 2",
        )?;
        let (_, refused) = wait()?;
        ensure!(refused["refusal"]["code"] == "HP0103", "{refused}");
        let (failed, restarted) = client.call("restart", json!({}))?;
        ensure!(!failed, "{restarted}");
        let (_, now) = client.call("wait", json!({}))?;
        ensure!(now["verdict"] == "restarted", "{now}");

        let (failed, _) = client.call("pause", json!({ "paused": true }))?;
        ensure!(!failed);
        let (_, status) = client.call("status", json!({}))?;
        ensure!(
            status["paused"] == true && status["session"] == session.tool_pid(),
            "{status}"
        );
        let (failed, _) = client.call("status", json!({ "pid": 1 }))?;
        ensure!(failed, "there is such a session");
        session.stop().map(drop)
    })?;
    client.end()
}
