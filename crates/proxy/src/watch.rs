//! What others do to the kernel's tables, as it happens.

use anyhow::{Context, Result};
use nlink::netlink::nftables::{
    NFNL_SUBSYS_NFTABLES, NFT_MSG_DELCHAIN, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWGEN,
    NFT_MSG_NEWTABLE,
};
use nlink::netlink::{AttrIter, Connection, MessageIter, Nftables};

/// The kernel drops notifications that find no room, ours among them: thousands come at once when the table is written.
const RECEIVE_BUFFER: usize = 32 << 20;
/// Its family (u8), version (u8) and resource (u16) come before a message's attributes.
const NFGENMSG: usize = 4;
/// The name of the table is the first attribute of every kind of message.
const TABLE_NAME: u16 = 1;

/// How the names of all our tables begin.
const KNARR: &[u8] = b"knarr-";

/// What somebody else did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Our table is not as we left it.
    pub ours: bool,
    /// Chains of other tables came, went or changed.
    pub others: bool,
    /// Notifications were lost: anything may have happened.
    pub lost: bool,
}

impl Seen {
    fn and(self, other: Seen) -> Seen {
        Seen {
            ours: self.ours || other.ours,
            others: self.others || other.others,
            lost: self.lost || other.lost,
        }
    }
}

/// Listens to the kernel's notifications.
pub struct Watch {
    nft: Connection<Nftables>,
    /// Whose changes are our own.
    own: u32,
    table: &'static str,
}

impl Watch {
    /// Everything that happens from now on and was not done by the socket with port id `own`, to which `table` belongs.
    pub fn open(own: u32, table: &'static str) -> Result<Self> {
        let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
        nft.socket().set_rcvbuf(RECEIVE_BUFFER).context("enlarge its receive buffer")?;
        nft.subscribe_all().context("subscribe to changes of tables")?;
        Ok(Watch { nft, own, table })
    }

    /// Completes when somebody else did something, with all that is known of it by then: a deleted table alone makes a
    /// notification for each of its elements. May be dropped at any await point.
    pub async fn next(&self) -> Seen {
        loop {
            let mut seen = self.take(self.nft.socket().recv_msg().await);
            loop {
                match self.nft.socket().try_recv_msg() {
                    Ok(Some(datagram)) => seen = seen.and(self.take(Ok(datagram))),
                    Ok(None) => break,
                    Err(error) => seen = seen.and(self.take(Err(error))),
                }
            }
            if seen != Seen::default() {
                return seen;
            }
        }
    }

    fn take(&self, received: nlink::Result<Vec<u8>>) -> Seen {
        match received {
            Ok(datagram) => self.read(&datagram),
            Err(error) => {
                tracing::debug!(%error, "notifications of the kernel's tables are lost");
                Seen { lost: true, ..Seen::default() }
            }
        }
    }

    fn read(&self, datagram: &[u8]) -> Seen {
        let mut seen = Seen::default();
        for (header, body) in MessageIter::new(datagram).flatten() {
            let [subsystem, kind] = header.nlmsg_type.to_be_bytes();
            if u16::from(subsystem) != NFNL_SUBSYS_NFTABLES
                || kind == NFT_MSG_NEWGEN
                || header.nlmsg_pid == self.own
            {
                continue;
            }
            let attributes = AttrIter::new(body.get(NFGENMSG..).unwrap_or_default());
            let table = attributes.into_iter().find(|(kind, _)| *kind == TABLE_NAME).map(|(_, name)| name);
            let name = table.and_then(|n| n.split(|b| *b == 0).next()).unwrap_or_default();
            if name == self.table.as_bytes() {
                seen.ours = true;
            } else if name.starts_with(KNARR) {
                // Other parts of this node, who know what they do.
            } else if matches!(
                kind,
                NFT_MSG_NEWCHAIN | NFT_MSG_DELCHAIN | NFT_MSG_NEWTABLE | NFT_MSG_DELTABLE
            ) {
                seen.others = true;
            }
        }
        seen
    }
}
