//! A ticket system that says of every ticket what it was told to say.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::app::Home;

#[derive(Clone)]
pub struct Board {
    address: SocketAddr,
    state: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Board {
    pub async fn start(state: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let board = Self { address, state: Arc::new(Mutex::new(state.to_owned())), asked: Arc::default() };
        let app = Router::new().fallback(answer).with_state(board.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        board
    }

    pub fn says(&self, state: &str) {
        state.clone_into(&mut self.state.lock().unwrap());
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// AgentAuth's configuration names it as `jira`.
    pub fn stands_in(&self, home: &Home) {
        let text = std::fs::read_to_string(home.path("atb.toml")).unwrap();
        let url = text.lines().find(|line| line.starts_with("url = ")).unwrap();
        home.replace("atb.toml", url, &format!("url = \"http://{}/tickets/{{ref}}\"", self.address));
    }
}

async fn answer(State(board): State<Board>) -> Json<Value> {
    board.asked.fetch_add(1, Ordering::SeqCst);
    Json(json!({"status": *board.state.lock().unwrap()}))
}
