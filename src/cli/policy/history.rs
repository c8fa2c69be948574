//! Where decisions of the past come from, and the threads that they are asked in.
//!
//! One reader, bounded batches, one set of engines a thread: memory does not grow with the history. A ledger is opened
//! for reading alone, also while a service writes it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use super::files;
use crate::adapters::store::{RecordedDecision, SqliteReader};
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::domain::policy::Bundle;
use crate::service::auditor::LogSource as _;
use crate::service::toolchain::replay::{Past, of_opa_event};

/// Decisions a batch.
const BATCH: usize = 256;
/// Batches that wait for a thread.
const WAITING: usize = 8;
/// Evaluation takes a deep stack.
const STACK: usize = 16 * 1024 * 1024;
/// The longest line of a history, and the largest log that is one array.
const MAX_LINE: usize = 4 * 1024 * 1024;
const MAX_ARRAY: u64 = 256 * 1024 * 1024;

/// Which history.
#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// The configuration that names the ledger and the bundle.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    pub(super) config: PathBuf,
    /// A ledger, also while a service writes it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "opa_log"])]
    ledger: Option<PathBuf>,
    /// A history that `atb policy replay --export` wrote.
    #[arg(long, value_name = "FILE", conflicts_with = "opa_log")]
    history: Option<PathBuf>,
    /// A decision log of OPA, one event a line or one array, plain or gzip; may be repeated.
    #[arg(long, value_name = "FILE")]
    opa_log: Vec<PathBuf>,
}

/// An opened choice.
pub(super) enum Source {
    Ledger(PathBuf),
    History(PathBuf),
    OpaLogs(Vec<PathBuf>),
}

impl HistoryArgs {
    /// The history that was named, or the configuration's ledger.
    pub(super) fn source(&self) -> anyhow::Result<Source> {
        if !self.opa_log.is_empty() {
            return Ok(Source::OpaLogs(self.opa_log.clone()));
        }
        if let Some(path) = &self.history {
            return Ok(Source::History(path.clone()));
        }
        if let Some(path) = &self.ledger {
            return Ok(Source::Ledger(path.clone()));
        }
        if self.config.exists() {
            return Ok(Source::Ledger(Config::load(&self.config)?.store));
        }
        bail!("no history: name one with --ledger, --history or --opa-log, or a configuration with --config")
    }
}

/// Bundles by their paths.
pub(super) fn bundles(paths: &[PathBuf], config: &Path) -> anyhow::Result<Vec<Arc<Bundle>>> {
    paths.iter().map(|path| bundle(Some(path), config)).collect()
}

/// One bundle; without a path the one in force.
pub(super) fn bundle(path: Option<&Path>, config: &Path) -> anyhow::Result<Arc<Bundle>> {
    let (path, files) = files::read(path, config)?;
    let bundle = Bundle::parse(&files).with_context(|| format!("the bundle `{}`", path.display()))?;
    Ok(Arc::new(bundle))
}

/// A decision as it was read, parsed in the thread that asks.
enum Raw {
    Entry(RecordedDecision),
    Line(String),
    OpaEvent(String),
}

impl Raw {
    fn read(&self) -> Option<Past> {
        match self {
            Self::Entry(decision) => Past::of_entry(&decision.body, decision.openings.as_ref()),
            Self::Line(line) => Past::of_history_line(line),
            Self::OpaEvent(event) => of_opa_event(event),
        }
    }
}

/// What one thread does.
pub(super) trait Work {
    type Report: Send;

    fn take(&mut self, past: &Past) -> anyhow::Result<()>;

    fn report(self) -> Self::Report;
}

/// Does the work over the whole history, in as many threads as there are processors; `make` is called in each.
pub(super) fn over<W: Work>(source: &Source, make: impl Fn() -> W + Sync) -> anyhow::Result<Vec<W::Report>> {
    let threads = thread::available_parallelism().map_or(1, |n| n.get().min(64));
    let (batches, queue) = sync_channel(WAITING);
    let queue = Arc::new(Mutex::new(queue));
    tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let make = &make;
            let spawn = |_| {
                let queue = Arc::clone(&queue);
                thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || work(make(), &queue))
            };
            let workers = (0..threads).map(spawn).collect::<Result<Vec<_>, _>>()?;
            // The threads alone hold the receiving end, so that the reader is never left waiting for nobody.
            drop(queue);
            let fed = feed(source, batches);
            let mut reports = Vec::with_capacity(threads);
            for worker in workers {
                reports.push(worker.join().map_err(|_| anyhow::anyhow!("a thread of the replay panicked"))??);
            }
            fed.map(|()| reports)
        })
    })
}

fn work<W: Work>(mut work: W, queue: &Mutex<Receiver<Vec<Raw>>>) -> anyhow::Result<W::Report> {
    let mut failed = None;
    loop {
        let batch = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { break };
        // After an error the queue is still emptied, so that the reader does not wait for ever.
        for past in batch.iter().filter_map(Raw::read) {
            if failed.is_none() {
                failed = work.take(&past).err();
            }
        }
    }
    failed.map_or_else(|| Ok(work.report()), Err)
}

fn feed(source: &Source, batches: SyncSender<Vec<Raw>>) -> anyhow::Result<()> {
    let mut feeder = Feeder { batches, batch: Vec::with_capacity(BATCH), progress: Progress::new() };
    match source {
        Source::Ledger(path) => Handle::current().block_on(feeder.ledger(path))?,
        Source::History(path) => feeder.lines(path, Raw::Line)?,
        Source::OpaLogs(paths) => paths.iter().try_for_each(|path| feeder.lines(path, Raw::OpaEvent))?,
    }
    feeder.send();
    feeder.progress.end();
    Ok(())
}

struct Feeder {
    batches: SyncSender<Vec<Raw>>,
    batch: Vec<Raw>,
    progress: Progress,
}

impl Feeder {
    fn push(&mut self, raw: Raw) {
        self.batch.push(raw);
        if self.batch.len() >= BATCH {
            self.send();
        }
    }

    fn send(&mut self) {
        // Threads end before the reader only by a panic, which their join reports.
        let _ = self.batches.send(std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH)));
    }

    async fn ledger(&mut self, path: &Path) -> anyhow::Result<()> {
        let reader = SqliteReader::open(path).await?;
        // What is appended while this runs is for the next time.
        let rows = reader.head().await?.rows;
        let mut next = 0;
        while next < rows {
            let page = reader.recorded_decisions(next, BATCH as u32).await?;
            let Some(last) = page.last() else { break };
            next = last.seq + 1;
            page.into_iter()
                .filter(|decision| decision.seq < rows)
                .for_each(|decision| self.push(Raw::Entry(decision)));
            self.progress.at(next.min(rows), rows);
        }
        reader.close().await;
        Ok(())
    }

    fn lines(&mut self, path: &Path, raw: impl Fn(String) -> Raw) -> anyhow::Result<()> {
        let at = || path.display().to_string();
        let file = File::open(path).with_context(at)?;
        let length = file.metadata().with_context(at)?.len();
        let mut position = file.try_clone().with_context(at)?;
        let mut text = plain_text(file).with_context(at)?;
        if first_byte(&mut text).with_context(at)? == Some(b'[') {
            let events: Vec<Box<RawValue>> = serde_json::from_reader(text.take(MAX_ARRAY)).with_context(at)?;
            events.iter().for_each(|event| self.push(raw(event.get().to_owned())));
            return Ok(());
        }
        let mut line = Vec::new();
        for nth in 1_u64.. {
            line.clear();
            let read = (&mut text).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).with_context(at)?;
            if read == 0 {
                break;
            }
            if read > MAX_LINE {
                bail!("{}:{nth}: more than {MAX_LINE} bytes in one line", path.display());
            }
            let written = std::str::from_utf8(&line).with_context(|| format!("{}:{nth}", path.display()))?.trim();
            if !written.is_empty() {
                self.push(raw(written.to_owned()));
            }
            if nth.is_multiple_of(BATCH as u64) {
                self.progress.at(position.stream_position().unwrap_or(0), length);
            }
        }
        Ok(())
    }
}

/// Unpacks gzip, which OPA uploads its logs as.
fn plain_text(mut file: File) -> std::io::Result<Box<dyn BufRead>> {
    let mut magic = [0; 2];
    let read = file.read(&mut magic)?;
    file.rewind()?;
    let packed = read == magic.len() && magic == [0x1f, 0x8b];
    Ok(if packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(BufReader::new(file)) })
}

fn first_byte(text: &mut dyn BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let buffer = text.fill_buf()?;
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match buffer.get(blank) {
            Some(byte) => return Ok(Some(*byte)),
            None if buffer.is_empty() => return Ok(None),
            None => text.consume(blank),
        }
    }
}
