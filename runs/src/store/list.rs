//! Which runs there were.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{Result, Store, head_key};
use crate::cloud;
use crate::record::Head;

/// Heads that are read at a time.
const AT_A_TIME: usize = 16;

/// Where a run's head is, and when the run was last written down.
struct Place {
    job: String,
    run_id: String,
    /// Of the record while it is there: a head is written again when its notification is settled, which may be days later.
    written: DateTime<Utc>,
    /// Runs that were written down before there were heads have none; the beginning of their record does.
    has_head: bool,
}

impl Store {
    /// Every run of a job, or of all jobs, the latest first.
    pub async fn runs(&self, job: Option<&str>) -> Result<Vec<Head>> {
        self.read_all(self.places(job, DateTime::UNIX_EPOCH).await?).await
    }

    /// Runs that were written down since then, the latest first.
    pub async fn recent(&self, since: DateTime<Utc>) -> Result<Vec<Head>> {
        self.read_all(self.places(None, since).await?).await
    }

    /// The latest run of a job that is `wanted`.
    pub async fn latest(&self, job: &str, wanted: impl Fn(&Head) -> bool) -> Result<Option<Head>> {
        let mut places = self.places(Some(job), DateTime::UNIX_EPOCH).await?;
        places.sort_by_key(|place| std::cmp::Reverse(place.written));
        // S3 tells whole seconds: of several runs that were written in one, the records say which is the latest.
        for places in places.chunk_by(|one, other| one.written == other.written) {
            let mut records = Vec::new();
            for place in places {
                records.extend(self.readable(place).await.filter(&wanted));
            }
            if let Some(latest) = records.into_iter().max_by_key(|record| record.started) {
                return Ok(Some(latest));
            }
        }
        Ok(None)
    }

    async fn read_all(&self, places: Vec<Place>) -> Result<Vec<Head>> {
        let read = futures_util::stream::iter(places).map(|place| async move { self.readable(&place).await });
        let mut records: Vec<Head> = read.buffer_unordered(AT_A_TIME).filter_map(std::future::ready).collect().await;
        records.sort_by_key(|record| std::cmp::Reverse(record.started));
        Ok(records)
    }

    /// One head that cannot be read keeps no other from being read.
    async fn readable(&self, place: &Place) -> Option<Head> {
        let head = if place.has_head {
            self.get(&head_key(&place.job, &place.run_id)).await
        } else {
            self.head(&place.job, &place.run_id).await
        };
        head.unwrap_or_else(|error| {
            tracing::warn!(error = cloud::chain(&error), "a run's record is left out");
            None
        })
    }

    /// Runs whose head or record was written since then. Reads no object: how many there are, and of what size, costs little.
    async fn places(&self, job: Option<&str>, since: DateTime<Utc>) -> Result<Vec<Place>> {
        let mut places = BTreeMap::<(String, String), Place>::new();
        for folder in ["heads", "runs"] {
            let key = job.map_or_else(|| folder.to_owned(), |job| format!("{folder}/{job}"));
            let mut objects = self.objects.list(Some(&self.path(&key)));
            while let Some(object) = objects.try_next().await.map_err(|source| self.access(&key, source))? {
                let Some((job, run_id)) = run_of(folder, &object.location) else { continue };
                if object.last_modified < since {
                    continue;
                }
                let found = places.entry((job.clone(), run_id.clone())).or_insert(Place {
                    job,
                    run_id,
                    written: object.last_modified,
                    has_head: folder == "heads",
                });
                // The record comes after the head.
                found.written = object.last_modified;
            }
        }
        Ok(places.into_values().collect())
    }
}

/// The job and the run whose head or record this is.
fn run_of(folder: &str, location: &object_store::path::Path) -> Option<(String, String)> {
    let parts: Vec<String> = location.parts().map(|part| part.as_ref().to_owned()).collect();
    match (folder, &parts[..]) {
        ("heads", [.., job, file]) => Some((job.clone(), file.strip_suffix(".json")?.to_owned())),
        ("runs", [.., job, run_id, file]) if file == "report.json" => Some((job.clone(), run_id.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Notification, Record, Sent};
    use chrono::TimeDelta;

    async fn write(store: &Store, job: &str, run_id: &str, minute: i64) {
        let head = Head::new(job, run_id, Utc::now() + TimeDelta::minutes(minute));
        store.write(&Record { head, report: None }).await.unwrap();
    }

    #[tokio::test]
    async fn runs_are_listed_the_latest_first_and_garbled_ones_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        for (job, run_id, minute) in [("erp", "a", 1), ("erp", "b", 2), ("erp_eu", "c", 3)] {
            write(&store, job, run_id, minute).await;
        }
        std::fs::create_dir_all(directory.path().join("runs/erp/garbled")).unwrap();
        std::fs::write(directory.path().join("runs/erp/garbled/report.json"), "{").unwrap();
        let names = |records: Vec<Head>| records.into_iter().map(|record| record.run_id).collect::<Vec<_>>();
        assert_eq!(names(store.runs(Some("erp")).await.unwrap()), ["b", "a"]);
        assert_eq!(names(store.runs(None).await.unwrap()), ["c", "b", "a"]);
        assert_eq!(store.read("erp", "z").await.unwrap(), None);
        assert_eq!(store.latest("erp", |record| record.run_id == "a").await.unwrap().unwrap().run_id, "a");

        assert_eq!(names(store.recent(Utc::now() - TimeDelta::days(1)).await.unwrap()), ["c", "b", "a"]);
        assert!(store.recent(Utc::now() + TimeDelta::days(1)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn of_runs_written_in_one_second_the_last_started_is_the_latest() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        let second = std::time::SystemTime::now();
        for (run_id, minute) in [("a", 1), ("b", 3), ("c", 2)] {
            write(&store, "erp", run_id, minute).await;
            let file = directory.path().join(format!("runs/erp/{run_id}/report.json"));
            std::fs::File::options().write(true).open(file).unwrap().set_modified(second).unwrap();
        }
        let latest = async |last| store.latest("erp", |record| record.run_id != last).await.unwrap().unwrap().run_id;
        assert_eq!((latest("none").await, latest("b").await), ("b".to_owned(), "c".to_owned()));
    }

    #[tokio::test]
    async fn reports_are_not_read_for_a_list_and_may_be_gone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        for (run_id, minute) in [("expired", 1), ("with-head", 2), ("without-head", 3)] {
            write(&store, "erp", run_id, minute).await;
        }
        let report = |run_id: &str| directory.path().join(format!("runs/erp/{run_id}/report.json"));
        std::fs::remove_dir_all(report("expired").parent().unwrap()).unwrap();
        std::fs::write(report("with-head"), "nobody reads it").unwrap();
        // As it was written before there were heads; its report is cut off, so that reading all of it fails.
        std::fs::remove_file(directory.path().join("heads/erp/without-head.json")).unwrap();
        let text = std::fs::read_to_string(report("without-head")).unwrap();
        let cut = text.replace("\"report\": null\n}", "\"report\": {\"rows\": [");
        assert_ne!(cut, text);
        std::fs::write(report("without-head"), cut).unwrap();
        let found: Vec<String> = store.runs(None).await.unwrap().into_iter().map(|head| head.run_id).collect();
        assert_eq!(found, ["without-head", "with-head", "expired"]);
        assert!(store.head("erp", "without-head").await.unwrap().is_some());
        assert_eq!(store.read("erp", "expired").await.unwrap().unwrap().report, None);
        // What becomes of its notification makes the head, and leaves the order as it is.
        let told = Notification { state: Sent::Published, by: "launcher".into(), at: Utc::now(), detail: None };
        for run_id in ["without-head", "with-head"] {
            store.settle("erp", run_id, &told).await.unwrap();
        }
        let heads = store.runs(None).await.unwrap();
        assert_eq!(heads.iter().filter(|head| head.is_notified()).count(), 2);
    }
}
