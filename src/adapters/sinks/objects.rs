//! A bucket: one object of JSON lines a batch, named by the indices of its first and last entry.
//!
//! A batch that is sent again has the same name and the same bytes. After a restart batches may be cut elsewhere; then
//! entries stand in two objects, under one id, and none is missing.

use async_trait::async_trait;

use super::SinkFault;
use crate::adapters::object_store::Objects;
use crate::config::ObjectStoreConfig;
use crate::service::ports::{Sink, SinkBatch, SinkError};

/// A bucket.
#[derive(Debug)]
pub struct ObjectSink {
    objects: Objects,
}

impl ObjectSink {
    pub(super) fn new(config: &ObjectStoreConfig, dev: bool) -> Result<Self, SinkFault> {
        Ok(Self { objects: Objects::bucket(config, dev)? })
    }
}

#[async_trait]
impl Sink for ObjectSink {
    async fn deliver(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        let (Some(first), Some(last)) = (batch.records.first(), batch.records.last()) else { return Ok(()) };
        let name = format!("{:020}-{:020}.jsonl", first.seq, last.seq);
        let lines = batch.records.iter().flat_map(|record| record.body.iter().chain(b"\n")).copied().collect();
        self.objects.put(&name, lines).await.map_err(|error| SinkError::failed(error.to_string()))
    }
}
