//! What an operator may set for all stores of a sender: the variables of Raff, by their names.

use super::proof::Mode;

/// The default connection of Zid and of Salla: counts for stores whose own connection names no
/// secret.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// The secret of Zid's webhooks.
    #[arg(long, env = "ZID_WEBHOOK_SECRET", hide_env_values = true, hide = true)]
    zid_webhook_secret: Option<String>,
    /// The header in which Zid's webhooks carry the secret or signature.
    #[arg(
        long,
        env = "ZID_WEBHOOK_HEADER",
        default_value = "X-Zid-Webhook-Secret"
    )]
    zid_webhook_header: String,
    /// How Zid's webhooks are signed.
    #[arg(long, env = "ZID_WEBHOOK_SIGNATURE_MODE", default_value = "plain")]
    zid_webhook_signature_mode: Mode,
    /// The secret of Salla's webhooks.
    #[arg(
        long,
        env = "SALLA_WEBHOOK_SECRET",
        hide_env_values = true,
        hide = true
    )]
    salla_webhook_secret: Option<String>,
    /// The header in which Salla's webhooks carry the signature.
    #[arg(
        long,
        env = "SALLA_WEBHOOK_HEADER",
        default_value = "x-salla-signature"
    )]
    salla_webhook_header: String,
    /// How Salla's webhooks are signed.
    #[arg(
        long,
        env = "SALLA_WEBHOOK_SIGNATURE_MODE",
        default_value = "hmac-sha256"
    )]
    salla_webhook_signature_mode: Mode,
}

/// What counts where a connection says nothing.
#[derive(Clone)]
pub(crate) struct Defaults {
    pub(super) secret: Option<String>,
    pub(super) header: String,
    pub(super) mode: Mode,
}

impl Args {
    /// What is set for a sender, if it is one of those for which that can be done.
    pub(super) fn of(&self, sender: &str) -> Option<Defaults> {
        let (secret, header, mode) = match sender {
            "zid" => (
                &self.zid_webhook_secret,
                &self.zid_webhook_header,
                self.zid_webhook_signature_mode,
            ),
            "salla" => (
                &self.salla_webhook_secret,
                &self.salla_webhook_header,
                self.salla_webhook_signature_mode,
            ),
            _ => return None,
        };
        Some(Defaults {
            secret: secret.clone().filter(|secret| !secret.is_empty()),
            header: header.clone(),
            mode,
        })
    }
}
