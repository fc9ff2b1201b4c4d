//! kubeconfig files with everything embedded.

use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::files;
use crate::identity::Identity;

/// One cluster, one user, one context.
#[derive(Clone, Debug)]
pub struct Kubeconfig<'a> {
    /// Of cluster, context and user alike.
    pub name: &'a str,
    /// `https://host:port`
    pub server: &'a str,
    pub ca_pem: &'a str,
    pub identity: &'a Identity,
}

impl Kubeconfig<'_> {
    /// The file's text. It holds a private key.
    pub fn render(&self) -> String {
        let data = |pem: &str| STANDARD.encode(pem);
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: {name:?}\n\
             \x20 cluster:\n\
             \x20   server: {server:?}\n\
             \x20   certificate-authority-data: {ca}\n\
             contexts:\n\
             - name: {name:?}\n\
             \x20 context:\n\
             \x20   cluster: {name:?}\n\
             \x20   user: {name:?}\n\
             current-context: {name:?}\n\
             users:\n\
             - name: {name:?}\n\
             \x20 user:\n\
             \x20   client-certificate-data: {cert}\n\
             \x20   client-key-data: {key}\n",
            name = self.name,
            server = self.server,
            ca = data(self.ca_pem),
            cert = data(&self.identity.cert_pem),
            key = data(&self.identity.key_pem),
        )
    }

    /// Writes it, mode 0600, whole or not at all. Makes the directory (0755 as others may live there) when missing. What is there
    /// and is no file (/dev/null, a pipe) is written into and not replaced.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir)
                .map_err(|e| anyhow::anyhow!("create directory {}: {e}", dir.display()))?;
        }
        if std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
            return std::fs::OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, self.render().as_bytes()))
                .map_err(|e| anyhow::anyhow!("write {}: {e}", path.display()));
        }
        files::write_private(path, self.render().as_bytes())
    }
}
