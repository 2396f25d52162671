//! State outside the process: SQLite and files.
