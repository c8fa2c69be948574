//! The sample ERP of `atb demo`: a small system of its own, with a database of its own, behind the connector `erp`.
//!
//! It trusts whoever reaches it, as many systems behind a gateway do, and remembers what it saw, so that the demo and
//! the tests can prove what did and did not arrive. It is another system: the rule that SQL lives in `adapters/store`
//! is about ATB's own record.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path as PathParam, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{FromRow, Row as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SCHEMA: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS vendors (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, iban TEXT NOT NULL, bic TEXT,
        payment_limit REAL NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS orders (
        id TEXT PRIMARY KEY, vendor_id TEXT NOT NULL, item TEXT NOT NULL, quantity INTEGER NOT NULL,
        amount REAL NOT NULL, currency TEXT NOT NULL, status TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS payments (
        id INTEGER PRIMARY KEY, vendor_id TEXT NOT NULL, amount REAL NOT NULL, currency TEXT NOT NULL,
        reference TEXT NOT NULL) STRICT",
];

const VENDORS: [(&str, &str, &str, &str, f64); 5] = [
    ("V-1001", "Nordlicht Papier GmbH", "DE", "DE89370400440532013000", 25_000.0),
    ("V-1002", "Atelier Lumière SARL", "FR", "FR1420041010050500013M02606", 40_000.0),
    ("V-1003", "Windmolen Logistics BV", "NL", "NL91ABNA0417164300", 120_000.0),
    ("V-1004", "Alpen Werkzeug AG", "CH", "CH9300762011623852957", 60_000.0),
    ("V-1005", "Harbour Steel Ltd", "GB", "GB29NWBK60161331926819", 80_000.0),
];

const ORDERS: [(&str, &str, &str, i64, f64); 5] = [
    ("O-2001", "V-1001", "Copy paper A4", 200, 1_180.0),
    ("O-2002", "V-1002", "Desk lamps", 24, 2_136.0),
    ("O-2003", "V-1003", "Pallet transport", 6, 4_350.0),
    ("O-2004", "V-1004", "Torque wrenches", 12, 3_588.0),
    ("O-2005", "V-1005", "Steel brackets", 800, 9_920.0),
];

/// What the change board knows: it plays the ticket system of critical acts.
const TICKETS: [(&str, &str); 3] = [("OPS-77", "approved"), ("OPS-78", "open"), ("OPS-17", "approved")];

/// A running ERP; it stops when this is dropped.
#[derive(Debug)]
pub struct ErpHandle {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What reached the ERP.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Seen {
    /// Requests so far, those for `/_seen` not counted.
    pub hits: u64,
    /// The last request's method and target.
    pub last: String,
    /// The last request's headers; the values of one name joined by `, `.
    pub headers: BTreeMap<String, String>,
}

impl ErpHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests reached it.
    pub fn hits(&self) -> u64 {
        self.seen().hits
    }

    /// What reached it last.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ErpHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Erp {
    db: SqlitePool,
    seen: Arc<Mutex<Seen>>,
}

/// Serves the ERP on `listener` with its data in `db_path`, which is created and seeded if it is not there.
///
/// # Errors
/// When the database cannot be opened.
pub async fn start(listener: TcpListener, db_path: &Path) -> anyhow::Result<ErpHandle> {
    let address = listener.local_addr()?;
    let erp = Erp { db: open(db_path).await?, seen: Arc::default() };
    let seen = Arc::clone(&erp.seen);
    let router = router(erp);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the sample ERP stopped");
        }
    });
    Ok(ErpHandle { address, seen, task })
}

async fn open(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let db = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
    for statement in SCHEMA {
        sqlx::query(statement).execute(&db).await?;
    }
    for (id, name, country, iban, limit) in VENDORS {
        sqlx::query("INSERT OR IGNORE INTO vendors VALUES (?, ?, ?, ?, NULL, ?)")
            .bind(id)
            .bind(name)
            .bind(country)
            .bind(iban)
            .bind(limit)
            .execute(&db)
            .await?;
    }
    for (id, vendor, item, quantity, amount) in ORDERS {
        sqlx::query("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?, 'EUR', 'open')")
            .bind(id)
            .bind(vendor)
            .bind(item)
            .bind(quantity)
            .bind(amount)
            .execute(&db)
            .await?;
    }
    Ok(db)
}

fn router(erp: Erp) -> Router {
    Router::new()
        .route("/vendors", get(list_vendors))
        .route("/vendors/{vendor_id}", get(read_vendor).delete(delete_vendor))
        .route("/vendors/{vendor_id}/bank-account", post(change_bank_account))
        .route("/orders", post(create_order))
        .route("/orders/{order_id}", get(read_order).put(update_order))
        .route("/payments", post(pay))
        .layer(middleware::from_fn_with_state(erp.clone(), remember))
        .route("/tickets/{reference}", get(read_ticket))
        .route("/_seen", get(async |State(erp): State<Erp>| Json(erp.snapshot())))
        .with_state(erp)
}

impl Erp {
    fn snapshot(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn remember(State(erp): State<Erp>, request: Request, next: Next) -> Response {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers() {
        let text = String::from_utf8_lossy(value.as_bytes());
        let joined = headers.entry(name.to_string()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&text);
    }
    {
        let mut seen = erp.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.hits += 1;
        seen.last = format!("{} {}", request.method(), request.uri());
        seen.headers = headers;
    }
    next.run(request).await
}

/// What the ERP answers instead of a result.
enum Fault {
    NoSuch(&'static str),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::NoSuch(what) => (StatusCode::NOT_FOUND, Json(json!({ "error": format!("no such {what}") }))),
            Self::Database(error) => {
                tracing::error!(%error, "the sample ERP's database failed");
                (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "database" })))
            }
        }
        .into_response()
    }
}

#[derive(Serialize)]
struct Vendor {
    vendor_id: String,
    name: String,
    country: String,
    iban: String,
    bic: Option<String>,
    payment_limit: f64,
}

impl<'r> FromRow<'r, SqliteRow> for Vendor {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            vendor_id: row.try_get("id")?,
            name: row.try_get("name")?,
            country: row.try_get("country")?,
            iban: row.try_get("iban")?,
            bic: row.try_get("bic")?,
            payment_limit: row.try_get("payment_limit")?,
        })
    }
}

async fn vendor(db: &SqlitePool, id: &str) -> Result<Vendor, Fault> {
    let found = sqlx::query_as("SELECT * FROM vendors WHERE id = ?").bind(id).fetch_optional(db).await?;
    found.ok_or(Fault::NoSuch("vendor"))
}

async fn read_vendor(State(erp): State<Erp>, PathParam(id): PathParam<String>) -> Result<Json<Vendor>, Fault> {
    vendor(&erp.db, &id).await.map(Json)
}

/// AgentAuth asks here, not an agent: it is not counted among the requests that reached the ERP.
async fn read_ticket(PathParam(reference): PathParam<String>) -> Result<Json<Value>, Fault> {
    let found = TICKETS.iter().find(|(known, _)| *known == reference);
    let (known, state) = found.ok_or(Fault::NoSuch("ticket"))?;
    Ok(Json(json!({ "ref": known, "status": state })))
}

#[derive(Deserialize)]
struct VendorFilter {
    country: Option<String>,
    limit: Option<i64>,
}

async fn list_vendors(State(erp): State<Erp>, Query(filter): Query<VendorFilter>) -> Result<Json<Value>, Fault> {
    let vendors: Vec<Vendor> =
        sqlx::query_as("SELECT * FROM vendors WHERE ?1 IS NULL OR country = ?1 ORDER BY id LIMIT ?2")
            .bind(filter.country)
            .bind(filter.limit.unwrap_or(100))
            .fetch_all(&erp.db)
            .await?;
    Ok(Json(json!({ "vendors": vendors })))
}

#[derive(Deserialize)]
struct BankAccount {
    iban: String,
    bic: Option<String>,
    payment_limit: f64,
}

async fn change_bank_account(
    State(erp): State<Erp>,
    PathParam(id): PathParam<String>,
    Json(account): Json<BankAccount>,
) -> Result<Json<Vendor>, Fault> {
    sqlx::query("UPDATE vendors SET iban = ?, bic = ?, payment_limit = ? WHERE id = ?")
        .bind(account.iban)
        .bind(account.bic)
        .bind(account.payment_limit)
        .bind(&id)
        .execute(&erp.db)
        .await?;
    vendor(&erp.db, &id).await.map(Json)
}

async fn delete_vendor(State(erp): State<Erp>, PathParam(id): PathParam<String>) -> Result<StatusCode, Fault> {
    let done = sqlx::query("DELETE FROM vendors WHERE id = ?").bind(&id).execute(&erp.db).await?;
    if done.rows_affected() == 0 { Err(Fault::NoSuch("vendor")) } else { Ok(StatusCode::NO_CONTENT) }
}

#[derive(Serialize)]
struct Order {
    order_id: String,
    vendor_id: String,
    item: String,
    quantity: i64,
    amount: f64,
    currency: String,
    status: String,
}

impl<'r> FromRow<'r, SqliteRow> for Order {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            order_id: row.try_get("id")?,
            vendor_id: row.try_get("vendor_id")?,
            item: row.try_get("item")?,
            quantity: row.try_get("quantity")?,
            amount: row.try_get("amount")?,
            currency: row.try_get("currency")?,
            status: row.try_get("status")?,
        })
    }
}

async fn order(db: &SqlitePool, id: &str) -> Result<Order, Fault> {
    let found = sqlx::query_as("SELECT * FROM orders WHERE id = ?").bind(id).fetch_optional(db).await?;
    found.ok_or(Fault::NoSuch("order"))
}

async fn read_order(State(erp): State<Erp>, PathParam(id): PathParam<String>) -> Result<Json<Order>, Fault> {
    order(&erp.db, &id).await.map(Json)
}

#[derive(Deserialize)]
struct NewOrder {
    vendor_id: String,
    item: String,
    quantity: i64,
    amount: f64,
    currency: String,
}

async fn create_order(State(erp): State<Erp>, Json(new): Json<NewOrder>) -> Result<(StatusCode, Json<Order>), Fault> {
    vendor(&erp.db, &new.vendor_id).await?;
    // The next number in the statement itself: SQLite has one writer, so two orders never get the same.
    let (id,): (String,) = sqlx::query_as(
        "INSERT INTO orders SELECT 'O-' || (max(CAST(substr(id, 3) AS INTEGER)) + 1), ?, ?, ?, ?, ?, 'open' FROM orders
         RETURNING id",
    )
    .bind(new.vendor_id)
    .bind(new.item)
    .bind(new.quantity)
    .bind(new.amount)
    .bind(new.currency)
    .fetch_one(&erp.db)
    .await?;
    Ok((StatusCode::CREATED, Json(order(&erp.db, &id).await?)))
}

#[derive(Deserialize)]
struct OrderChange {
    quantity: Option<i64>,
    status: Option<String>,
}

async fn update_order(
    State(erp): State<Erp>,
    PathParam(id): PathParam<String>,
    Json(change): Json<OrderChange>,
) -> Result<Json<Order>, Fault> {
    sqlx::query("UPDATE orders SET quantity = coalesce(?, quantity), status = coalesce(?, status) WHERE id = ?")
        .bind(change.quantity)
        .bind(change.status)
        .bind(&id)
        .execute(&erp.db)
        .await?;
    order(&erp.db, &id).await.map(Json)
}

#[derive(Deserialize)]
struct Payment {
    vendor_id: String,
    amount: f64,
    currency: String,
    reference: String,
}

async fn pay(State(erp): State<Erp>, Json(payment): Json<Payment>) -> Result<(StatusCode, Json<Value>), Fault> {
    vendor(&erp.db, &payment.vendor_id).await?;
    let (id,): (i64,) = sqlx::query_as(
        "INSERT INTO payments (vendor_id, amount, currency, reference) VALUES (?, ?, ?, ?) RETURNING id",
    )
    .bind(payment.vendor_id)
    .bind(payment.amount)
    .bind(payment.currency)
    .bind(payment.reference)
    .fetch_one(&erp.db)
    .await?;
    Ok((StatusCode::CREATED, Json(json!({ "payment_id": format!("P-{id}"), "status": "accepted" }))))
}
