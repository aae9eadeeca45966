//! The first bytes of a connection: what is it?

use std::io;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::time::timeout;
use trunk::{PLAIN_GREETING, Peeked};

use super::limits::HELLO_BYTES;

/// How much is read at once: an ordinary `ClientHello`.
const PIECE_BYTES: usize = 2_048;

/// What a connection turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// TLS: the host name that the visitor asked for, and the protocols offered (ALPN).
    Tls { name: Option<String>, protocols: Vec<Vec<u8>> },
    /// A node, for a stream in bulk without TLS.
    Plain,
    /// SSH (RFC 4253, 4.2).
    Ssh,
    /// HTTP without TLS.
    Http,
}

/// Why a connection is closed before anybody answered it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoOpening {
    /// The time was up.
    #[error("nothing came in time")]
    Silent,
    /// It went first.
    #[error("it was closed")]
    Closed,
    /// The first bytes are of no protocol that is spoken here.
    #[error("the first bytes are of no known protocol")]
    NotUnderstood,
    /// The weather.
    #[error("the connection broke")]
    Broke(#[from] io::Error),
}

/// Reads until it is known what the connection is; it is then as if nothing had been read.
pub(crate) async fn read_opening(
    connection: &mut Peeked,
    time: Duration,
) -> Result<Opening, NoOpening> {
    timeout(time, read(connection)).await.unwrap_or(Err(NoOpening::Silent))
}

async fn read(connection: &mut Peeked) -> Result<Opening, NoOpening> {
    let mut reader = Reader::default();
    while connection.held().len() < HELLO_BYTES {
        let some = connection.peek_more(PIECE_BYTES).await?;
        if some == 0 {
            return Err(NoOpening::Closed);
        }
        if let Some(opening) = reader.on_bytes(connection.held(), some)? {
            return Ok(opening);
        }
    }
    Err(NoOpening::NotUnderstood)
}

/// Finds out what the bytes are, as they come.
#[derive(Default)]
pub(crate) struct Reader {
    hello: Option<Acceptor>,
}

/// The first byte of a TLS record that holds a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// What else a connection may begin with. Who speaks HTTP without TLS is told to come by TLS.
const KNOWN: [(&[u8], Opening); 9] = [
    (b"SSH-", Opening::Ssh),
    (&PLAIN_GREETING, Opening::Plain),
    (b"GET ", Opening::Http),
    (b"HEAD ", Opening::Http),
    (b"POST ", Opening::Http),
    (b"PUT ", Opening::Http),
    (b"DELETE ", Opening::Http),
    (b"OPTIONS ", Opening::Http),
    (b"PATCH ", Opening::Http),
];

impl Reader {
    /// What is known with all bytes so far, of which the last `some` are new.
    pub(crate) fn on_bytes(
        &mut self,
        all: &[u8],
        some: usize,
    ) -> Result<Option<Opening>, NoOpening> {
        if all.first() == Some(&TLS_HANDSHAKE) {
            return self.on_hello(&all[all.len() - some..]);
        }
        let mut may_become = false;
        for (words, opening) in KNOWN {
            if all.starts_with(words) {
                return Ok(Some(opening));
            }
            may_become |= words.starts_with(all);
        }
        match may_become {
            true => Ok(None),
            false => Err(NoOpening::NotUnderstood),
        }
    }

    fn on_hello(&mut self, mut new: &[u8]) -> Result<Option<Opening>, NoOpening> {
        let acceptor = self.hello.get_or_insert_default();
        while !new.is_empty() {
            let before = new.len();
            acceptor.read_tls(&mut new).map_err(|_| NoOpening::NotUnderstood)?;
            if new.len() == before {
                return Err(NoOpening::NotUnderstood);
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let protocols =
                        hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
                    let name = hello.server_name().map(str::to_ascii_lowercase);
                    return Ok(Some(Opening::Tls { name, protocols }));
                }
                Err(_) => return Err(NoOpening::NotUnderstood),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::pki_types::ServerName;

    use super::*;

    /// What a TLS client says first.
    fn hello(name: &str, protocols: &[&[u8]]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// What a reader makes of these pieces; `Err` when it refuses them.
    fn opened<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Opening>, NoOpening> {
        let mut reader = Reader::default();
        let mut all = Vec::new();
        for piece in pieces {
            all.extend_from_slice(piece);
            if let Some(opening) = reader.on_bytes(&all, piece.len())? {
                return Ok(Some(opening));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_client_hello_tells_host_name_and_protocols_in_whatever_pieces_it_comes() {
        let bytes = hello("Jupyter-7q.relay.example", &[b"h2", b"http/1.1"]);
        let wanted = Opening::Tls {
            name: Some("jupyter-7q.relay.example".to_owned()),
            protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        for size in [1, 7, 100, bytes.len()] {
            assert_eq!(opened(bytes.chunks(size)).unwrap(), Some(wanted.clone()), "by {size}");
        }
        assert_eq!(opened(bytes[..bytes.len() - 1].chunks(64)).unwrap(), None);
    }

    #[test]
    fn an_address_is_no_host_name() {
        let opening = opened([hello("127.0.0.1", &[]).as_slice()]).unwrap();
        assert_eq!(opening, Some(Opening::Tls { name: None, protocols: vec![] }));
    }

    #[test]
    fn ssh_and_plain_http_are_told_by_their_first_word() {
        for (bytes, wanted) in [
            (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], Some(Opening::Ssh)),
            (b"SS", None),
            (b"iogbulk1\0\0", Some(Opening::Plain)),
            (b"iogb", None),
            (b"GET / HTTP/1.1\r\n", Some(Opening::Http)),
            (b"OPTI", None),
        ] {
            assert_eq!(opened([bytes]).unwrap(), wanted);
        }
        for nonsense in
            [&b"\0"[..], b"SSL-", b"get / ", b"\x80\x2e\x01", b"\x16\x05\x01\0\x05xxxxx"]
        {
            assert!(matches!(opened([nonsense]), Err(NoOpening::NotUnderstood)), "{nonsense:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>, size in 1..64_usize) {
            let _ = opened(bytes.chunks(size));
        }

        #[test]
        fn no_damaged_hello_breaks_it(at in 0..200_usize, to: u8, size in 1..300_usize) {
            let mut bytes = hello("a.relay.example", &[b"iog-relay/1"]);
            bytes[at] = to;
            let _ = opened(bytes.chunks(size));
        }
    }
}
