//! ImageLocality: prefers nodes that have the pod's images, large ones counting more, widespread ones less likely to pile up.

use crate::plugin::{Normalise, Plugin, Score};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "ImageLocality",
    pre_filter: None,
    filter: None,
    score: Some(score),
    weight: 1,
    normalise: Normalise::No,
    wakes_on: &[],
};

const MB: i64 = 1 << 20;
const FROM: i64 = 23 * MB;
const PER_CONTAINER: i64 = 1000 * MB;

fn score<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Score<'a>> {
    let spec = pod.pod.spec.as_ref()?;
    let images: Vec<String> =
        spec.containers.iter().filter_map(|c| c.image.as_deref()).map(normalised).collect();
    let nodes = cluster.nodes().count() as i64;
    // How widely each image is spread: a node alone with it should not get every pod.
    let spread: Vec<i64> =
        images.iter().map(|i| cluster.nodes().filter(|n| n.images.contains_key(i)).count() as i64).collect();
    if nodes < 2 || spread.iter().all(|s| *s == 0) {
        return None;
    }
    let most = PER_CONTAINER * images.len() as i64;
    Some(Box::new(move |node| {
        let sizes = images.iter().zip(&spread).filter_map(|(i, s)| Some(node.images.get(i)? * s / nodes));
        let sum = sizes.sum::<i64>().clamp(FROM, most);
        if most <= FROM { 0 } else { 100 * (sum - FROM) / (most - FROM) }
    }))
}

/// As the node lists it: with a tag.
fn normalised(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}
