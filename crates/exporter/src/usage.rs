//! What containers use of their limits. Where there is no limit, nothing is near it.

use service::Resources;
use service::resources::Limit;
use service::state::Use;

use crate::ledger::Incarnation;
use crate::window::Container;

/// The limits of the program that reports, and of the process that it watches.
pub(crate) fn of(component: &str, incarnation: &Incarnation, stale: bool) -> Vec<Use> {
    let report = &incarnation.report;
    let mut found = Vec::new();
    if let Some(own) = &report.resources {
        let container = if report.neighbour.is_some() { "probe" } else { component };
        add(&mut found, container, own, incarnation, Container::Own);
    }
    if let Some(neighbour) = &report.neighbour {
        add(&mut found, &neighbour.name, &neighbour.resources, incarnation, Container::Neighbour);
        if let Some(disk) = &neighbour.disk {
            let used = disk.size_bytes.saturating_sub(disk.free_bytes);
            found.extend(part(&neighbour.name, "disk", used as f64, disk.size_bytes as f64));
        }
    }
    for one in &mut found {
        component.clone_into(&mut one.component);
        one.pod.clone_from(&report.pod);
        one.stale = stale;
    }
    found
}

fn add(found: &mut Vec<Use>, name: &str, resources: &Resources, incarnation: &Incarnation, container: Container) {
    let memory_limit = resources.memory_limit_bytes.and_then(Limit::value);
    if let Some((limit, used)) = memory_limit.zip(resources.memory_bytes) {
        found.extend(part(name, "memory", used as f64, limit as f64));
    }
    let cpu_limit = resources.cpu_limit_millicores.and_then(Limit::value);
    if let Some((limit, cpu)) = cpu_limit.zip(incarnation.window.cpu(container)) {
        let share = part(name, "cpu", cpu.cores, limit as f64 / 1e3);
        found.extend(share.map(|cpu_use| Use { throttled: cpu.throttled, ..cpu_use }));
    }
}

fn part(container: &str, resource: &str, used: f64, limit: f64) -> Option<Use> {
    (limit > 0.0).then(|| Use {
        container: container.to_owned(),
        resource: resource.to_owned(),
        ratio: used / limit,
        used,
        limit,
        ..Use::default()
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use service::{Disk, Neighbour};

    use super::*;
    use crate::clock::Clock;
    use crate::samples::report;
    use crate::window::Window;

    fn broker() -> Incarnation {
        let (mut window, start) = (Window::default(), Instant::now());
        let mut last = report("kafka-0", 1, 0, &[]);
        for second in 0..2 {
            last = report("kafka-0", 1, second, &[]);
            let resources = Resources {
                cpu_usage_us: Some(second * 600_000),
                cpu_limit_millicores: Some(Limit::At(2_000)),
                cpu_periods: Some(second * 10),
                cpu_throttled_periods: Some(second),
                memory_bytes: Some(300),
                memory_limit_bytes: Some(Limit::At(400)),
                ..Resources::default()
            };
            let disk = Some(Disk { size_bytes: 100, free_bytes: 90, device: None });
            last.resources = Some(Resources { memory_limit_bytes: Some(Limit::Unlimited), ..resources.clone() });
            last.neighbour = Some(Neighbour { name: "kafka".to_owned(), incarnation: None, resources, disk });
            window.push(&last, start + Duration::from_secs(second));
        }
        Incarnation { report: last, received: start, window, clock: Clock::default(), is_lost: false }
    }

    #[test]
    fn a_broker_is_measured_against_each_of_its_limits() {
        let uses = of("kafka", &broker(), false);
        let of_broker: Vec<_> = uses
            .iter()
            .filter(|used| used.container == "kafka")
            .map(|used| (used.resource.as_str(), used.ratio, used.throttled))
            .collect();
        assert_eq!(of_broker, [("memory", 0.75, None), ("cpu", 0.3, Some(0.1)), ("disk", 0.1, None)]);
    }

    #[test]
    fn without_a_limit_nothing_is_near_it() {
        let uses = of("kafka", &broker(), false);
        let of_probe: Vec<_> =
            uses.iter().filter(|used| used.container == "probe").map(|used| used.resource.as_str()).collect();
        assert_eq!(of_probe, ["cpu"]);
    }
}
