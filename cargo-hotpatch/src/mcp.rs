//! `cargo hotpatch mcp`: the session as tools for a program that edits code, over the Model Context Protocol.
//!
//! It needs no session to start and finds one at each call. It writes no source file.

use std::time::Duration;

use anyhow::{Context, Result};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock, Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ErrorData, ServerHandler, ServiceExt, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::args::SessionArgs;
use crate::control::{Reply, Request};
use crate::remote::{PATIENCE, find};
use crate::ui::seat::no_one_session;

/// What a program is told once, and shows a model.
const INSTRUCTIONS: &str = "\
A Rust program runs under `cargo hotpatch run`, and each saved edit of its sources goes into the running process, with all its \
state. After editing files call `wait`: it says what became of exactly the bytes that are on disk. `patched` and `unchanged` \
mean that they are what runs; `broken` has rustc's errors; `refused` says which living value stands against the edit, and \
`restart` brings it in. Do not build or start the program yourself. If there is no session, ask for `cargo hotpatch run`.";

/// How long to wait for a verdict if nobody says.
const TIMEOUT: u64 = 120;

/// Serves one client over standard input and output until it leaves.
///
/// # Errors
/// The runtime cannot be started, or the client does not speak the protocol.
pub fn run() -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("failed to start the runtime")?;
    let served = runtime.block_on(async {
        let service = Server.serve(rmcp::transport::stdio()).await?;
        service.waiting().await?;
        Ok::<_, anyhow::Error>(())
    });
    // A read of standard input cannot be ended.
    runtime.shutdown_background();
    served.context("failed to serve over standard input and output")?;
    Ok(0)
}

/// Which session is meant, if the folder that the server was started in does not say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Which {
    /// The name of the program's package, where a workspace has several sessions.
    package: Option<String>,
    /// The process id of a session or of its program.
    pid: Option<u32>,
}

impl Which {
    fn session(self) -> SessionArgs {
        SessionArgs {
            package: self.package,
            pid: self.pid,
            color: None,
        }
    }
}

/// What `wait` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Wait {
    /// Name all functions that were patched after this generation, not only those of the last verdict.
    since: Option<u32>,
    /// Seconds to wait, 120 if absent.
    timeout: Option<u64>,
    #[serde(flatten)]
    which: Which,
}

/// What `restart` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Restart {
    /// Begin with nothing of what the program keeps through restarts.
    #[serde(default)]
    clean: bool,
    /// Restart even if not all of what the program keeps can be saved.
    #[serde(default)]
    force: bool,
    #[serde(flatten)]
    which: Which,
}

/// What `functions` and `variables` take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Named {
    /// A part of the path.
    filter: Option<String>,
    /// For `variables`: the new value, as Rust writes it.
    set: Option<String>,
    #[serde(flatten)]
    which: Which,
}

/// What `undo` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Undo {
    /// Go forth again, to what was undone last.
    #[serde(default)]
    redo: bool,
    #[serde(flatten)]
    which: Which,
}

/// What `pause` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Pause {
    /// Whether saves are left alone from now on; with `false` they are taken up again, with those that came meanwhile.
    paused: bool,
    #[serde(flatten)]
    which: Which,
}

#[derive(Debug, Clone)]
struct Server;

#[tool_router]
impl Server {
    #[tool(
        description = "What became of the source files as they are on disk now. Blocks until that is known. Call it after each edit.",
        annotations(read_only_hint = true)
    )]
    async fn wait(&self, Parameters(args): Parameters<Wait>) -> Result<CallToolResult, ErrorData> {
        let limit = Duration::from_secs(args.timeout.unwrap_or(TIMEOUT).max(1));
        let request = Request::Wait { since: args.since };
        ask(args.which, request, limit).await
    }

    #[tool(
        description = "How things stand: the session, its program, whether what is on disk is what runs, the last verdicts, what stands against an edit.",
        annotations(read_only_hint = true)
    )]
    async fn status(
        &self,
        Parameters(which): Parameters<Which>,
    ) -> Result<CallToolResult, ErrorData> {
        ask(which, Request::Status {}, PATIENCE).await
    }

    #[tool(
        name = "try",
        description = "What would become of the source files as they are on disk now: they are compiled and planned, and nothing is loaded. While saves are paused.",
        annotations(read_only_hint = true)
    )]
    async fn try_out(
        &self,
        Parameters(which): Parameters<Which>,
    ) -> Result<CallToolResult, ErrorData> {
        ask(which, Request::Try {}, PATIENCE).await
    }

    #[tool(
        description = "The functions that run newer code than the program began with, each with its generation; with a filter, all whose paths contain it, with place and signature.",
        annotations(read_only_hint = true)
    )]
    async fn functions(
        &self,
        Parameters(args): Parameters<Named>,
    ) -> Result<CallToolResult, ErrorData> {
        let request = match args.filter {
            Some(filter) => Request::Functions { filter },
            None => Request::List {},
        };
        ask(args.which, request, PATIENCE).await
    }

    #[tool(
        description = "The statics of the running program with their types and values, those whose paths contain the filter. With `set`, gives the one that the filter names that value: atomics, and locks of numbers, texts and the like."
    )]
    async fn variables(
        &self,
        Parameters(args): Parameters<Named>,
    ) -> Result<CallToolResult, ErrorData> {
        let filter = args.filter.unwrap_or_default();
        let request = match args.set {
            Some(value) => Request::Set {
                name: filter,
                value,
            },
            None => Request::Variables { filter },
        };
        ask(args.which, request, PATIENCE).await
    }

    #[tool(
        description = "Builds the program and starts it anew, with what it keeps of its state. For edits that were refused."
    )]
    async fn restart(
        &self,
        Parameters(args): Parameters<Restart>,
    ) -> Result<CallToolResult, ErrorData> {
        let request = Request::Restart {
            insist: args.force,
            clean: args.clean,
        };
        ask(args.which, request, PATIENCE).await
    }

    #[tool(
        description = "Has the program run again what it ran before the last save, at once and without a compile; with `redo`, what was undone. No file changes: what is on disk comes back with the next save."
    )]
    async fn undo(&self, Parameters(args): Parameters<Undo>) -> Result<CallToolResult, ErrorData> {
        let request = match args.redo {
            true => Request::Redo {},
            false => Request::Undo {},
        };
        ask(args.which, request, PATIENCE).await
    }

    #[tool(
        description = "Has saves left alone, so that edits of several files can be made one after the other and go live together."
    )]
    async fn pause(
        &self,
        Parameters(args): Parameters<Pause>,
    ) -> Result<CallToolResult, ErrorData> {
        let request = match args.paused {
            true => Request::Pause {},
            false => Request::Resume {},
        };
        ask(args.which, request, PATIENCE).await
    }
}

#[tool_handler]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::default();
        info.capabilities = ServerCapabilities::builder().enable_tools().build();
        info.server_info = Implementation::new("cargo-hotpatch", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(INSTRUCTIONS.to_owned());
        info
    }
}

/// Asks the session that is meant. What is wrong is the tool's answer: a model can do something about it.
async fn ask(which: Which, request: Request, limit: Duration) -> Result<CallToolResult, ErrorData> {
    let asked = tokio::task::spawn_blocking(move || answer(which, &request, limit));
    let failed = |error: &dyn std::fmt::Display| {
        CallToolResult::error(vec![ContentBlock::text(error.to_string())])
    };
    Ok(match asked.await {
        Ok(Ok(Ok(answer))) => CallToolResult::structured(answer),
        Ok(Ok(Err(why))) => failed(&why),
        Ok(Err(error)) => failed(&format!("{error:#}")),
        Err(error) => failed(&error),
    })
}

/// What a session answers, or why there is no answer.
fn answer(
    which: Which,
    request: &Request,
    limit: Duration,
) -> Result<Result<serde_json::Value, String>> {
    let (_, mut connection) = match find(&which.session())? {
        Ok(found) => found,
        Err(none) => return Ok(Err(no_one_session(&none))),
    };
    Ok(match connection.ask(request, Some(limit))? {
        Some(Reply::Settled(settled)) => Ok(serde_json::to_value(settled)?),
        Some(Reply::Tried(judged)) => Ok(serde_json::to_value(judged)?),
        Some(Reply::Status(status)) => Ok(serde_json::to_value(status)?),
        Some(Reply::Functions { functions }) => Ok(serde_json::json!({ "functions": functions })),
        Some(Reply::AllFunctions { functions }) => {
            Ok(serde_json::json!({ "functions": functions }))
        }
        Some(Reply::Variables { variables }) => Ok(serde_json::json!({ "variables": variables })),
        Some(Reply::Done { message }) => Ok(serde_json::json!({ "done": message })),
        Some(Reply::Failed { message }) => Err(message),
        Some(Reply::Said { text }) => Err(text),
        Some(Reply::Ended {}) => Err("the session has ended".to_owned()),
        None => Err(format!("there is no answer after {} s", limit.as_secs())),
    })
}
