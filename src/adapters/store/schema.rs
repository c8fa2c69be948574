//! Creating and opening the file: the schema's version, and every connection's settings.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::domain::ledger::{Frontier, LogKey, Origin};
use crate::service::auditor::Finding;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// "ATBL", set by the first migration.
const APPLICATION_ID: i32 = 0x4154_424c;

/// How long a statement waits for a lock of somebody else.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Texts of the writer that stay prepared: all that it has.
const STATEMENTS: usize = 64;

/// Why a ledger was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Asked to create where there is something.
    #[error("`{}` exists already; a ledger is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Asked to open where there is nothing.
    #[error("there is no ledger at `{}`; if it was there before, restore it: a new one would forget what was spent", .0.display())]
    Missing(PathBuf),
    /// Another process writes it.
    #[error("the ledger `{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The lock file is out of reach.
    #[error("cannot lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Files beside the ledger are out of reach.
    #[error("cannot put the new ledger at `{}`", path.display())]
    Place {
        /// The ledger.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of something else.
    #[error("`{}` is not an ATB ledger", .0.display())]
    Foreign(PathBuf),
    /// A schema that this program does not know, or a known one that was changed.
    #[error("the schema of `{}` is not one that this version knows ({detail}); use the version that wrote it", path.display())]
    Schema {
        /// The ledger.
        path: PathBuf,
        /// Which change.
        detail: String,
    },
    /// The log does not verify.
    #[error("the ledger `{}` is not intact: {finding}; do not start on it, see `atb audit verify`", path.display())]
    Tampered {
        /// The ledger.
        path: PathBuf,
        /// The first finding.
        finding: Finding,
    },
    /// It cannot be read or written.
    #[error("cannot use the ledger `{}`: {detail}", path.display())]
    Unusable {
        /// The ledger.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

impl OpenError {
    pub(super) fn unusable(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Unusable { path: path.to_owned(), detail: error.to_string() }
    }
}

/// `path` with `suffix` behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates an empty ledger at `path`, whole or not at all: it is made under another name and renamed when it is durable.
pub(super) async fn create(path: &Path, key: &LogKey, origin: &Origin) -> Result<(), OpenError> {
    if path.exists() {
        return Err(OpenError::Exists(path.to_owned()));
    }
    let draft = beside(path, ".new");
    let place = |source| OpenError::Place { path: path.to_owned(), source };
    for rest in [draft.clone(), beside(&draft, "-wal"), beside(&draft, "-shm")] {
        match std::fs::remove_file(&rest) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(place(error)),
            _ => {}
        }
    }
    write_empty(&draft, key, origin).await.map_err(|error| OpenError::unusable(path, error))?;
    std::fs::rename(&draft, path).map_err(place)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(place)
}

async fn write_empty(draft: &Path, key: &LogKey, origin: &Origin) -> Result<(), MigrateError> {
    let mut conn = schema_options(draft).create_if_missing(true).connect().await?;
    migrate(&mut conn).await?;
    let empty = Frontier::new();
    let note = key.sign(origin, 0, empty.root());
    sqlx::query("INSERT INTO head (id, size, frontier, note) VALUES (1, 0, ?, ?)")
        .bind(empty.to_bytes())
        .bind(note.note())
        .execute(&mut conn)
        .await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await?;
    Ok(conn.close().await?)
}

/// Brings the schema of the existing ledger at `path` up to date.
pub(super) async fn bring_up_to_date(path: &Path) -> Result<(), OpenError> {
    let mut conn = schema_options(path).connect().await.map_err(|error| not_opened(path, &error))?;
    check_application(path, &mut conn).await?;
    migrate(&mut conn).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            OpenError::Schema { path: path.to_owned(), detail: format!("change {version} is newer than this program") }
        }
        MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => {
            OpenError::Schema { path: path.to_owned(), detail: format!("change {version} is not as it was shipped") }
        }
        error => OpenError::unusable(path, error),
    })?;
    conn.close().await.map_err(|error| OpenError::unusable(path, error))
}

/// `Migrator::run` takes an `Acquire`, which the compiler cannot show to be `Send` in a spawned task; this is the way
/// around it that sqlx has for its own use.
async fn migrate(conn: &mut SqliteConnection) -> Result<(), MigrateError> {
    MIGRATOR.run_direct(None, conn, false).await
}

/// Checks that a connection that cannot migrate sees the newest schema.
pub(super) async fn check_schema(path: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
    check_application(path, conn).await?;
    let applied: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(conn)
        .await
        .map_err(|error| OpenError::unusable(path, error))?;
    if applied == MIGRATOR.iter().map(|m| m.version).max() {
        return Ok(());
    }
    let detail = applied.map_or("no change was applied".to_owned(), |version| format!("its last change is {version}"));
    Err(OpenError::Schema { path: path.to_owned(), detail })
}

async fn check_application(path: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let id: i32 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(conn).await.map_err(|error| not_opened(path, &error))?;
    if id == APPLICATION_ID { Ok(()) } else { Err(OpenError::Foreign(path.to_owned())) }
}

fn not_opened(path: &Path, error: &sqlx::Error) -> OpenError {
    const SQLITE_NOTADB: &str = "26";
    match error.as_database_error().and_then(|e| e.code()) {
        Some(code) if code == SQLITE_NOTADB => OpenError::Foreign(path.to_owned()),
        _ => OpenError::unusable(path, error),
    }
}

/// A connection of the writer's: durable at commit, strict about what it is given. Never makes a file, and takes the path
/// for a path and not for a URI.
pub(super) fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    for (pragma, value) in [
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        // `store::backfill` does it, so that no commit waits for it.
        ("wal_autocheckpoint", "0"),
        ("journal_size_limit", "67108864"),
    ] {
        conn.execute_batch(&format!("PRAGMA {pragma} = {value}"))?;
    }
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// For what is done once, before there is a writer.
fn schema_options(path: &Path) -> SqliteConnectOptions {
    common_options(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
}

/// Settings of a reading connection.
pub(super) fn reader_options(path: &Path) -> SqliteConnectOptions {
    // A block of the log and more, so that SQLite's thread reads it without waiting for its reader.
    common_options(path).read_only(true).row_buffer_size(512)
}

fn common_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging()
}
