//! Plain HTTP for operators, on an address of its own: `/health`, `/ready`, `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

/// One thing that must be so before calls are taken.
#[derive(Debug, Clone)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// Why it is not so.
    pub problem: Option<String>,
}

/// What the operator is told.
#[async_trait::async_trait]
pub trait Status: Send + Sync {
    /// Everything that must be so.
    async fn checks(&self) -> Vec<Check>;

    /// Which policy is in force, and what is tried out.
    fn policy(&self) -> serde_json::Value;

    /// The metrics in the OpenMetrics text format.
    fn metrics(&self) -> String;
}

/// The routes for operators.
pub fn router(status: Arc<dyn Status>) -> Router {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(status)
}

async fn ready(State(status): State<Arc<dyn Status>>) -> Response {
    let checks = status.checks().await;
    let ready = checks.iter().all(|check| check.problem.is_none());
    let listed: serde_json::Map<_, _> = checks
        .into_iter()
        .map(|check| (check.name.to_owned(), json!(check.problem.unwrap_or_else(|| "ok".to_owned()))))
        .collect();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready, "checks": listed, "policy": status.policy() }))).into_response()
}

async fn metrics(State(status): State<Arc<dyn Status>>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], status.metrics()).into_response()
}
