//! The shared parts over whatever OpenCL device there is (PoCL where there is no card), beside plain loops.

use super::*;
use crate::csr::Network;
use offload_core::device::{Descriptor, LanePriority, Residents};
use offload_core::{Graph, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;

fn on_opencl(test: impl Fn(&mut Gpu<'_>)) {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let devices: Vec<Descriptor> = match opencl::list(&options) {
        Ok(devices) => devices,
        Err(why) => return println!("skipped: {why}"),
    };
    for descriptor in devices {
        let device = opencl::open(descriptor.id, &options).unwrap();
        let mut lane = device.open_lane(LanePriority::Normal).unwrap();
        let residents = Residents::new(0);
        let tenant = TenantId::new("t");
        let mut gpu = Gpu::new(lane.as_mut(), &descriptor, &residents, tenant, Context::default(), 64 << 20);
        test(&mut gpu);
        gpu.end(Ok(offload_api::Record::new())).result.unwrap();
    }
}

#[test]
fn sums_before_each_are_those_of_a_loop() {
    on_opencl(|gpu| {
        let scan = Scan::new(gpu).unwrap();
        // One group, several, a part of a tile each, and several tiles each.
        for n in [1usize, 255, 256, 257, 5_000, 300_000] {
            let values: Vec<u32> = (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761) >> 20).collect();
            let on_device = gpu.upload(&values).unwrap();
            scan.run(gpu, &on_device, n).unwrap();
            let mut sum = 0u32;
            let want: Vec<u32> = values
                .iter()
                .map(|v| {
                    let before = sum;
                    sum = sum.wrapping_add(*v);
                    before
                })
                .collect();
            assert!(gpu.download(&on_device).unwrap() == want, "{n}");
            assert_eq!(scan.total(gpu, n).unwrap(), sum, "{n}");
        }
    });
}

#[test]
fn rows_on_the_device_are_those_of_the_host() {
    let edges: Vec<(u64, u64)> = (0..900u64).map(|i| (i * i % 101, i * 7 % 65 + 3)).collect();
    let weights: Vec<f64> = (0..900).map(f64::from).collect();
    on_opencl(|gpu| {
        let ctx = Context::default();
        for given in [None, Some(weights.clone())] {
            for arcs in [Arcs::Out, Arcs::In, Arcs::Both] {
                let network = Network::read(Graph::new(&edges, given.clone(), None, true), &ctx).unwrap();
                let rows = Rows::of(&network, arcs, true, gpu).unwrap();
                let want = match given {
                    Some(_) => network.rows(arcs, true, &ctx).unwrap(),
                    None => network.sorted_rows(arcs, &ctx).unwrap(),
                };
                assert_eq!(gpu.download(&rows.offsets).unwrap(), want.offsets);
                assert_eq!(gpu.download(&rows.targets).unwrap(), want.targets);
                assert_eq!((rows.weighted, rows.arcs), (given.is_some(), want.arcs()));
                if rows.weighted {
                    assert_eq!(gpu.download(&rows.weights).unwrap(), want.weights);
                }
                let sent = Edges::of(&network, true, gpu).unwrap();
                assert_eq!(gpu.download(&sent.src).unwrap(), network.src);
                assert_eq!(gpu.download(&sent.dst).unwrap(), network.dst);
            }
        }
    });
}
