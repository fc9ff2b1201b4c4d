//! The API server's flags about who is who and who may do what, with upstream's names.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::security::{Mode, RequestHeaderConfig, SecurityConfig};

use crate::commands::node::absolute;

#[derive(clap::Args)]
#[command(next_help_heading = "Who is who, and who may do what")]
pub struct SecurityArgs {
    /// Certificates of these CAs name users, besides those of the cluster's own CA (PEM)
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// Proxies with certificates of these CAs name users in headers (PEM)
    #[arg(long, value_name = "FILE")]
    requestheader_client_ca_file: Option<PathBuf>,
    /// Common names of the certificates of such proxies [default: any]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    requestheader_allowed_names: Vec<String>,
    /// Headers with the user's name [default: X-Remote-User]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    requestheader_username_headers: Vec<String>,
    /// Headers with the user's uid [default: X-Remote-Uid]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    requestheader_uid_headers: Vec<String>,
    /// Headers with the user's groups [default: X-Remote-Group]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    requestheader_group_headers: Vec<String>,
    /// Prefixes of headers with what else is known of the user [default: X-Remote-Extra-]
    #[arg(long, value_name = "PREFIX,…", value_delimiter = ',')]
    requestheader_extra_headers_prefix: Vec<String>,
    /// Bearer tokens and their users, a line each: TOKEN,USER,UID,"GROUP,GROUP"
    #[arg(long, value_name = "FILE")]
    token_auth_file: Option<PathBuf>,
    /// Requests without credentials are system:anonymous's; else they are refused
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    anonymous_auth: bool,
    /// Who decides what a user may do: Node, RBAC, AlwaysAllow, AlwaysDeny
    #[arg(long, value_name = "MODE,…", value_delimiter = ',', default_value = "Node,RBAC")]
    authorization_mode: Vec<Mode>,
    /// How many requests that only read may run at once; 0: any number
    #[arg(long, value_name = "N", default_value_t = 400)]
    max_requests_inflight: usize,
    /// How many requests that write may run at once; 0: any number
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_mutating_requests_inflight: usize,
    /// How long to go on after SIGTERM, while /readyz fails already, as 10s or 1m
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    shutdown_delay_duration: String,
    /// `iss` of service-account tokens; given again, tokens of the further ones are believed, too
    /// [default: https://kubernetes.default.svc.CLUSTER_DOMAIN]
    #[arg(long, value_name = "URL")]
    service_account_issuer: Vec<String>,
    /// Whom tokens must be for to be believed here [default: the issuers]
    #[arg(long, value_name = "AUDIENCE,…", value_delimiter = ',')]
    api_audiences: Vec<String>,
    /// The private key that signs service-account tokens (PEM, P-256 or RSA) [default: DATA_DIR/pki/sa.key]
    #[arg(long, value_name = "FILE")]
    service_account_signing_key_file: Option<PathBuf>,
    /// Further keys whose tokens are believed (PEM); may be given again
    #[arg(long, value_name = "FILE")]
    service_account_key_file: Vec<PathBuf>,
    /// Service-account tokens live so long at most, as 24h or 90m
    #[arg(long, value_name = "DURATION")]
    service_account_max_token_expiration: Option<String>,
    /// Tokens that pods get unasked live a year, for clients that do not renew theirs; late use is logged
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    service_account_extend_token_expiration: bool,
    /// Where others find the keys of service-account tokens [default: this server's /openid/v1/jwks]
    #[arg(long, value_name = "URL")]
    service_account_jwks_uri: Option<String>,
    /// Settings of admission plugins: an AdmissionConfiguration (PodSecurity: defaults and exemptions)
    #[arg(long, value_name = "FILE")]
    admission_control_config_file: Option<PathBuf>,
    /// Admission plugins to run besides those that are on by default
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    enable_admission_plugins: Vec<String>,
    /// Admission plugins not to run
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    disable_admission_plugins: Vec<String>,
}

impl SecurityArgs {
    pub fn config(self) -> Result<SecurityConfig> {
        let file = |path: Option<PathBuf>| path.as_deref().map(absolute);
        let max = self.service_account_max_token_expiration.as_deref().map(duration).transpose();
        Ok(SecurityConfig {
            client_ca_file: file(self.client_ca_file),
            request_header: RequestHeaderConfig {
                client_ca_file: file(self.requestheader_client_ca_file),
                allowed_names: self.requestheader_allowed_names,
                username_headers: self.requestheader_username_headers,
                uid_headers: self.requestheader_uid_headers,
                group_headers: self.requestheader_group_headers,
                extra_headers_prefix: self.requestheader_extra_headers_prefix,
            },
            token_auth_file: file(self.token_auth_file),
            anonymous_auth: self.anonymous_auth,
            authorization_modes: self.authorization_mode,
            max_requests_inflight: self.max_requests_inflight,
            max_mutating_requests_inflight: self.max_mutating_requests_inflight,
            shutdown_delay: duration(&self.shutdown_delay_duration).context("--shutdown-delay-duration")?,
            service_account_issuers: self.service_account_issuer,
            api_audiences: self.api_audiences,
            service_account_signing_key_file: file(self.service_account_signing_key_file),
            service_account_key_files: self.service_account_key_file.iter().map(|p| absolute(p)).collect(),
            service_account_max_token_expiration: max
                .context("--service-account-max-token-expiration")?
                .filter(|max| !max.is_zero()),
            service_account_extend_token_expiration: self.service_account_extend_token_expiration,
            service_account_jwks_uri: self.service_account_jwks_uri,
            admission_control_config_file: file(self.admission_control_config_file),
            enable_admission_plugins: self.enable_admission_plugins,
            disable_admission_plugins: self.disable_admission_plugins,
        })
    }
}

/// `24h`, `1h30m`, `90s`: as Go writes durations, in whole seconds. `0`: none.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || anyhow::anyhow!("{text:?} is no duration; write 24h, 1h30m or 3600s");
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() && rest != "0" {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[digits] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(unit).and_then(|n| seconds.checked_add(n)).ok_or_else(wrong)?;
        rest = &rest[digits + 1..];
    }
    Ok(Duration::from_secs(seconds))
}
