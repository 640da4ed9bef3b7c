//! Errors of SQL Server that pass by themselves.
//!
//! Sources: "Troubleshoot connectivity issues and other errors" (Azure SQL: list of transient fault error codes), the list of transient errors
//! of `SqlConfigurableRetryFactory` (Microsoft.Data.SqlClient), and "Database Engine events and errors": of what can befall a job that
//! connects and reads, the messages that ask to wait or to retry. What a firewall rule (40615) or a database's size (40544) forbids
//! does not pass.

/// Whether the error `number` passes by itself.
pub fn is_transient(number: u32) -> bool {
    GROUPS.iter().any(|(_, numbers)| numbers.contains(&number))
}

const GROUPS: &[(&str, &[u32])] = &[
    (
        "the server starts, stops, is upgraded or has no room for another connection",
        &[6005, 17142, 17187, 17188, 17189, 17197, 17809, 17889, 18401, 40623, 49802],
    ),
    (
        "the database starts, recovers, is restored, moves or changes its role",
        &[
            615, 904, 913, 921, 922, 923, 924, 925, 926, 927, 941, 945, 952, 976, 978, 981, 982, 983, 988, 3429, 4221,
            22430, 40143, 40166, 40197, 40540, 40613,
        ],
    ),
    ("the session was ended by somebody else, or by a change of roles", &[596, 3948, 3980]),
    ("locks: a deadlock, no room for another lock, a lock lost", &[1203, 1204, 1205, 1221, 1232, 22335]),
    ("memory, or the time to plan a statement", &[701, 802, 8628, 8645, 8651, 22498]),
    ("rows or metadata moved while they were read", &[601, 617, 669, 2021, 2816, 3635, 4117, 4184, 9515]),
    (
        "row versions: a conflict, versions that are gone, a database that just began or ceased to keep them",
        &[3947, 3949, 3950, 3953, 3957, 3958, 3959, 3960, 3961, 3966, 3967],
    ),
    (
        "memory-optimized tables: a transaction that cannot be validated",
        &[41301, 41302, 41305, 41325, 41339, 41383, 41839],
    ),
    (
        "a quota of the service, for now",
        &[
            10922, 10928, 10929, 10930, 10936, 40189, 40501, 40642, 40648, 40675, 40890, 40903, 45157, 45182, 49510,
            49918, 49919, 49920, 49977, 49983,
        ],
    ),
    ("a database snapshot whose readers are just leaving", &[3702]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_there_once() {
        let mut all: Vec<u32> = GROUPS.iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn what_stays_as_it_is_does_not_pass() {
        // An object that is not there, a permission, a firewall rule, a size, a wrong password, a session's own limit.
        for number in [208, 229, 40615, 40544, 18456, 40549] {
            assert!(!is_transient(number), "{number}");
        }
        for number in [3947, 4221, 982, 17187, 1204, 596, 617, 601, 40613] {
            assert!(is_transient(number), "{number}");
        }
    }
}
