//! Where records are kept: a bucket or a directory, each run in `runs/<job>/<run id>/`, its head in `heads/<job>/<run id>.json`.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CredentialProvider, GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use crate::record::{Head, Notification, Record};

mod beginning;
mod claim;
mod list;

pub use claim::Claim;

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{0:?} is no place for run records: give s3://bucket, s3://bucket/prefix or a directory")]
    Place(String),
    #[error("{place} cannot be used")]
    Open { place: String, source: object_store::Error },
    #[error("{place}/{key} cannot be read or written")]
    Access { place: String, key: String, source: object_store::Error },
    #[error("{place}/{key} is not what was written there")]
    Garbled { place: String, key: String, source: serde_json::Error },
}

type Result<T> = std::result::Result<T, StoreError>;

/// A bucket or a directory.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    place: String,
}

impl Store {
    /// `s3://bucket[/prefix]`, or a directory, which is made.
    pub fn open(place: &str, config: Option<&SdkConfig>) -> Result<Self> {
        let failed = |source| StoreError::Open { place: place.to_owned(), source };
        let (objects, prefix): (Arc<dyn ObjectStore>, Path) = if let Some(rest) = place.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let config = config.filter(|_| !bucket.is_empty()).ok_or_else(|| StoreError::Place(place.to_owned()))?;
            (Arc::new(bucket_of(bucket, config).map_err(failed)?), Path::from(prefix))
        } else if place.is_empty() || place.contains("://") || place.starts_with("s3:") {
            return Err(StoreError::Place(place.to_owned()));
        } else {
            let made = std::fs::create_dir_all(place)
                .map_err(|source| object_store::Error::Generic { store: "directory", source: source.into() });
            made.map_err(failed)?;
            (Arc::new(LocalFileSystem::new_with_prefix(place).map_err(failed)?), Path::default())
        };
        Ok(Self { objects, prefix, place: place.trim_end_matches('/').to_owned() })
    }

    /// The place as it was given.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where a run's files are, for people.
    pub fn location(&self, job: &str, run_id: &str) -> String {
        format!("{}/runs/{job}/{run_id}", self.place)
    }

    /// Writes a run's head and an empty record where there is none yet.
    pub async fn write_first(&self, head: &Head) -> Result<()> {
        let record = Record { head: head.clone(), report: None };
        self.put_first(&run_key(&head.job, &head.run_id, "report.json"), &record).await?;
        self.put_first(&head_key(&head.job, &head.run_id), head).await
    }

    async fn put_first(&self, key: &str, value: &impl serde::Serialize) -> Result<()> {
        match self.put(key, value, PutMode::Create).await {
            Err(StoreError::Access { source: object_store::Error::AlreadyExists { .. }, .. }) => Ok(()),
            other => other,
        }
    }

    /// Writes a record, then its head.
    pub async fn write(&self, record: &Record) -> Result<()> {
        let head = &record.head;
        self.put(&run_key(&head.job, &head.run_id, "report.json"), record, PutMode::Overwrite).await?;
        self.put(&head_key(&head.job, &head.run_id), head, PutMode::Overwrite).await
    }

    /// The report as people read it, beside the record.
    pub async fn write_text(&self, head: &Head, text: String) -> Result<()> {
        let key = run_key(&head.job, &head.run_id, "report.txt");
        let put = self.objects.put(&self.path(&key), PutPayload::from(text)).await;
        put.map(drop).map_err(|source| self.access(&key, source))
    }

    /// The whole record, which may be large; its head alone once the report has expired.
    pub async fn read(&self, job: &str, run_id: &str) -> Result<Option<Record>> {
        if let Some(record) = self.get(&run_key(job, run_id, "report.json")).await? {
            return Ok(Some(record));
        }
        let head = self.get(&head_key(job, run_id)).await?;
        Ok(head.map(|head| Record { head, report: None }))
    }

    /// The head of a run, from the beginning of its record: that one is written first.
    pub async fn head(&self, job: &str, run_id: &str) -> Result<Option<Head>> {
        match self.beginning(&run_key(job, run_id, "report.json")).await? {
            Some(head) => Ok(Some(head)),
            None => self.get(&head_key(job, run_id)).await,
        }
    }

    /// The first bytes of a record are its head, however large its report.
    async fn beginning(&self, key: &str) -> Result<Option<Head>> {
        let range = Some((0..beginning::LENGTH).into());
        let found = match self.objects.get_opts(&self.path(key), GetOptions { range, ..GetOptions::default() }).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(self.access(key, source)),
        };
        let bytes = found.bytes().await.map_err(|source| self.access(key, source))?;
        beginning::head(&bytes).map(Some).map_err(|error| self.garbled(key, error))
    }

    pub async fn read_text(&self, job: &str, run_id: &str) -> Result<Option<String>> {
        let bytes = self.bytes(&run_key(job, run_id, "report.txt")).await?;
        Ok(bytes.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// What a run that waits for its instance was asked for, as the launcher understands it.
    pub async fn write_request(&self, job: &str, run_id: &str, request: &impl serde::Serialize) -> Result<()> {
        self.put(&run_key(job, run_id, "request.json"), request, PutMode::Overwrite).await
    }

    pub async fn request<T: serde::de::DeserializeOwned>(&self, job: &str, run_id: &str) -> Result<Option<T>> {
        self.get(&run_key(job, run_id, "request.json")).await
    }

    pub async fn notification(&self, job: &str, run_id: &str) -> Result<Option<Notification>> {
        self.get(&run_key(job, run_id, "notification.json")).await
    }

    /// A file of another kind in the same place, such as a job file.
    pub async fn file(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.bytes(key).await?.map(|(bytes, _)| bytes))
    }

    fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }

    fn access(&self, key: &str, source: object_store::Error) -> StoreError {
        StoreError::Access { place: self.place.clone(), key: key.to_owned(), source }
    }

    fn garbled(&self, key: &str, source: serde_json::Error) -> StoreError {
        StoreError::Garbled { place: self.place.clone(), key: key.to_owned(), source }
    }

    async fn put(&self, key: &str, value: &impl serde::Serialize, mode: PutMode) -> Result<()> {
        let text = serde_json::to_vec_pretty(value).map_err(|error| self.garbled(key, error))?;
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.objects.put_opts(&self.path(key), PutPayload::from(text), options).await;
        put.map(drop).map_err(|source| self.access(key, source))
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        Ok(self.get_version(key).await?.map(|(value, _)| value))
    }

    /// What is written, and which version of it.
    async fn get_version<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<(T, UpdateVersion)>> {
        let Some((bytes, version)) = self.bytes(key).await? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes).map_err(|error| self.garbled(key, error))?;
        Ok(Some((value, version)))
    }

    async fn bytes(&self, key: &str) -> Result<Option<(Vec<u8>, UpdateVersion)>> {
        let found = match self.objects.get(&self.path(key)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(self.access(key, source)),
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = found.bytes().await.map_err(|source| self.access(key, source))?;
        Ok(Some((bytes.to_vec(), version)))
    }
}

fn run_key(job: &str, run_id: &str, file: &str) -> String {
    format!("runs/{job}/{run_id}/{file}")
}

fn head_key(job: &str, run_id: &str) -> String {
    format!("heads/{job}/{run_id}.json")
}

fn bucket_of(bucket: &str, config: &SdkConfig) -> std::result::Result<impl ObjectStore, object_store::Error> {
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    if let Some(region) = config.region() {
        builder = builder.with_region(region.as_ref());
    }
    if let Some(endpoint) = config.endpoint_url() {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(provider) = config.credentials_provider() {
        builder = builder.with_credentials(Arc::new(SameCredentials(provider)));
    }
    builder.build()
}

/// The credentials of every other client here, so that there is one place where they come from.
#[derive(Debug)]
struct SameCredentials(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for SameCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.provide_credentials().await;
        let found = found.map_err(|source| object_store::Error::Generic { store: "S3", source: source.into() })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}

#[cfg(test)]
impl Store {
    /// Has the conditional writes of S3, which a directory lacks.
    fn in_memory() -> Self {
        let objects = Arc::new(object_store::memory::InMemory::new());
        Self { objects, prefix: Path::default(), place: "memory".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_place_is_said() {
        for place in ["", "gs://bucket", "s3://", "s3://bucket", "s3:/bucket", "s3:bucket"] {
            assert!(matches!(Store::open(place, None), Err(StoreError::Place(_))), "{place}");
        }
    }
}
