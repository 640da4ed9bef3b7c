//! The integration tests: one binary, so that its servers start once.

#![allow(clippy::unwrap_used, reason = "everything here is a test, and a failed step is a failed test")]

/// Makes a test of each function for each engine. Where MySQL itself cannot be had the test run says so at its end.
macro_rules! on_each_engine {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(stopgap_tests::target::Engine::Postgres).await;
            })*
        }
        on_each_mysql!($($name),*);
    };
}

/// As [`on_each_engine`], for those that speak MySQL's protocol.
macro_rules! on_each_mysql {
    ($($name:ident),* $(,)?) => {
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(stopgap_tests::target::Engine::MariaDb).await;
            })*
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if stopgap_tests::target::Engine::all().contains(&stopgap_tests::target::Engine::MySql) {
                    super::$name(stopgap_tests::target::Engine::MySql).await;
                }
            })*
        }
    };
}

mod cases {
    mod attributes;
    mod aws;
    mod broken_decoders;
    mod chunk_keys;
    mod code_pages;
    mod commands;
    mod comparing;
    mod consistency;
    mod decisions;
    mod differences;
    mod digests;
    mod harness;
    mod image;
    mod in_place_updates;
    mod incremental;
    mod incremental_groups;
    mod index_orders;
    mod interruption;
    mod invisible_sessions;
    mod matrix;
    mod memory;
    mod mysql_attributes;
    mod mysql_behaviour;
    mod mysql_characters;
    mod mysql_crashes;
    mod mysql_faults;
    mod mysql_limits;
    mod mysql_settings;
    mod mysql_swaps;
    mod mysql_waits;
    mod old_tls;
    mod outages;
    mod postgres_behaviour;
    mod postgres_swaps;
    mod publications;
    mod random_changes;
    mod readers;
    mod readme;
    mod regressions;
    mod resume;
    mod row_values;
    mod second_source;
    mod self_test;
    mod silent_networks;
    mod slots;
    mod source_catalog;
    mod source_changes;
    mod source_failures;
    mod source_faults;
    mod source_scenarios;
    mod swaps;
    mod target_failures;
    mod target_faults;
    mod target_rules;
    mod terraform;
    mod witness;
    mod workflows;
}
