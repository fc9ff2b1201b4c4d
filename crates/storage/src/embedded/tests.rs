//! The embedded engine besides what every engine does.

use std::sync::Arc;

use super::*;

/// Engines in directories that live as long as this does.
struct Dirs(Mutex<Vec<tempfile::TempDir>>);

impl Dirs {
    fn engine(&self) -> Arc<dyn Engine> {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path()).unwrap();
        self.0.lock().unwrap().push(dir);
        Arc::new(engine)
    }
}

fn open(dir: &std::path::Path) -> Result<EmbeddedEngine, EmbeddedError> {
    EmbeddedEngine::open(EmbeddedConfig { on_fatal: OnFatal::Refuse, ..EmbeddedConfig::new(dir) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    let dirs = Dirs(Mutex::default());
    crate::testsuite::run(|| dirs.engine()).await;
}
