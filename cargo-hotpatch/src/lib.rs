//! `cargo hotpatch`: edit a function and the running program follows.
//!
//! Data flows one way: what a build recorded → objects that are compiled anew → plan → patch → running program. See
//! ARCHITECTURE.md.
#![forbid(unsafe_code)]

mod args;
mod build;
mod command;
mod control;
mod demo;
mod doctor;
mod image;
mod init;
mod mcp;
mod object;
mod patch;
mod plan;
mod remote;
mod run;
mod session;
mod source;
mod ui;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::ui::report::{Report, Verbosity};
use crate::ui::terminal::Terminal;

/// Runs the program with these arguments, the program's own name first.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    let called = args.first().map(Path::new).unwrap_or(Path::new(""));
    let stands_in = if called
        .file_name()
        .is_some_and(|name| name == build::capture::WRAPPER_NAME)
    {
        Some(build::capture::wrapper(&args[1..]))
    } else if called
        .file_name()
        .is_some_and(|name| name == build::capture::OUTER_NAME)
    {
        Some(build::capture::outer(&args[1..]))
    } else if called
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|folder| folder == build::launcher::FOLDER_NAME)
    {
        Some(build::launcher::link(&args[1..]))
    } else if called == Path::new(run::listen::STAND_IN) {
        Some(run::listen::stand_in(&args[1..]))
    } else {
        None
    };
    match stands_in {
        Some(Ok(code)) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Some(Err(error)) => {
            ui::page::complain(&error);
            ExitCode::from(101)
        }
        None => command(args),
    }
}

fn command(args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::parse_from_cargo(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help is no error; clap knows where each belongs.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (color, result) = match cli.command {
        Command::Run(args) => (args.build.color, session::run(&args)),
        Command::Test(args) => (args.build.color, session::tests::run(&args)),
        Command::Attach(args) => (args.color, remote::attach(&args)),
        Command::Status(args) => (args.session.color, remote::status(&args)),
        Command::Wait(args) => (args.session.color, remote::wait(&args)),
        Command::Try(args) => (args.session.color, remote::try_out(&args)),
        Command::Restart(args) => (args.session.color, remote::restart(&args)),
        Command::GiveUp(args) => (args.color, remote::give_up(&args)),
        Command::Undo(args) => (args.color, remote::step(&args, false)),
        Command::Redo(args) => (args.color, remote::step(&args, true)),
        Command::Pause(args) => (args.session.color, remote::pause(&args)),
        Command::List(args) => (args.status.session.color, remote::list(&args)),
        Command::Get(args) => (args.status.session.color, remote::get(&args)),
        Command::Set(args) => (args.session.color, remote::set(&args)),
        Command::Quit(args) => (args.color, remote::quit(&args)),
        Command::Init(args) => (None, init::run(&args)),
        Command::Mcp => (None, mcp::run()),
        Command::Completions(args) => {
            ui::page::completions(args.shell);
            (None, Ok(0))
        }
        Command::Man(args) => (None, ui::page::manual(&args.folder)),
        Command::Doctor(args) => (args.build.color, doctor::run(&args)),
        Command::Demo(args) => (None, demo::run(&args)),
        Command::Explain(args) => {
            ui::page::print(
                &args
                    .code
                    .map_or_else(plan::explain::list, plan::explain::page),
            );
            (None, Ok(0))
        }
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let report = Report::new(Terminal::of_stderr(color), Verbosity::Normal);
            report.fatal(error.as_ref());
            ExitCode::from(101)
        }
    }
}
