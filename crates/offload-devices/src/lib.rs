//! Device drivers, and the device that injects faults.
