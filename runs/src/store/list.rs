//! Which runs there were.

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{Result, Store};
use crate::cloud;
use crate::record::Record;

/// Records that are read at a time.
const AT_A_TIME: usize = 16;

/// Where a record is, and when it was last written.
struct Place {
    job: String,
    run_id: String,
    written: DateTime<Utc>,
}

impl Store {
    /// Every run of a job, or of all jobs, the latest first.
    pub async fn runs(&self, job: Option<&str>) -> Result<Vec<Record>> {
        self.read_all(self.places(job).await?).await
    }

    /// Runs that were written down since then, the latest first.
    pub async fn recent(&self, since: DateTime<Utc>) -> Result<Vec<Record>> {
        let mut places = self.places(None).await?;
        places.retain(|place| place.written >= since);
        self.read_all(places).await
    }

    /// The latest run of a job that is `wanted`.
    pub async fn latest(&self, job: &str, wanted: impl Fn(&Record) -> bool) -> Result<Option<Record>> {
        let mut places = self.places(Some(job)).await?;
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

    async fn read_all(&self, places: Vec<Place>) -> Result<Vec<Record>> {
        let read = futures_util::stream::iter(places).map(|place| async move { self.readable(&place).await });
        let mut records: Vec<Record> = read.buffer_unordered(AT_A_TIME).filter_map(std::future::ready).collect().await;
        records.sort_by_key(|record| std::cmp::Reverse(record.started));
        Ok(records)
    }

    /// One record that cannot be read keeps no other from being read.
    async fn readable(&self, place: &Place) -> Option<Record> {
        self.read(&place.job, &place.run_id).await.unwrap_or_else(|error| {
            tracing::warn!(error = cloud::chain(&error), "a run's record is left out");
            None
        })
    }

    async fn places(&self, job: Option<&str>) -> Result<Vec<Place>> {
        let key = job.map_or_else(|| "runs".to_owned(), |job| format!("runs/{job}"));
        let listed = self.objects.list(Some(&self.path(&key))).try_collect::<Vec<_>>().await;
        let objects = listed.map_err(|source| self.access(&key, source))?;
        Ok(objects
            .into_iter()
            .filter_map(|object| {
                let parts: Vec<String> = object.location.parts().map(|part| part.as_ref().to_owned()).collect();
                match &parts[..] {
                    [.., job, run_id, file] if file == "report.json" => {
                        Some(Place { job: job.clone(), run_id: run_id.clone(), written: object.last_modified })
                    }
                    _ => None,
                }
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[tokio::test]
    async fn runs_are_listed_the_latest_first_and_garbled_ones_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        for (job, run_id, minute) in [("erp", "a", 1), ("erp", "b", 2), ("erp_eu", "c", 3)] {
            store.write(&Record::new(job, run_id, Utc::now() + TimeDelta::minutes(minute))).await.unwrap();
        }
        std::fs::create_dir_all(directory.path().join("runs/erp/garbled")).unwrap();
        std::fs::write(directory.path().join("runs/erp/garbled/report.json"), "{").unwrap();
        let names = |records: Vec<Record>| records.into_iter().map(|record| record.run_id).collect::<Vec<_>>();
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
            store.write(&Record::new("erp", run_id, Utc::now() + TimeDelta::minutes(minute))).await.unwrap();
            let file = directory.path().join(format!("runs/erp/{run_id}/report.json"));
            std::fs::File::options().write(true).open(file).unwrap().set_modified(second).unwrap();
        }
        let latest = async |last| store.latest("erp", |record| record.run_id != last).await.unwrap().unwrap().run_id;
        assert_eq!((latest("none").await, latest("b").await), ("b".to_owned(), "c".to_owned()));
    }
}
