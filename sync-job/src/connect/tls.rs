//! Why a TLS handshake failed, and what can be done about it.
//!
//! The drivers use rustls, which speaks TLS 1.2 and 1.3 with forward secrecy and authenticated encryption alone (rustls manual,
//! "Cryptography used in TLS connections"). Older servers have none of that.

use std::error::Error as StdError;

use rustls::{AlertDescription as Alert, Error as Tls, PeerIncompatible as Incompatible};

/// What a handshake broke at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The server has neither TLS 1.2 nor TLS 1.3.
    Version,
    /// Both sides have no cipher suite, group or signature in common.
    Suites,
    /// The server closed the connection instead of answering: Windows does so for either of the above.
    Closed,
    /// The certificate is refused.
    Certificate,
    /// The server wants no TLS at all.
    NotOffered,
    Other,
}

impl Trouble {
    /// Of rustls's own error.
    pub fn of(error: &Tls) -> Self {
        match error {
            Tls::AlertReceived(Alert::ProtocolVersion)
            | Tls::PeerIncompatible(
                Incompatible::ServerDoesNotSupportTls12Or13 | Incompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Trouble::Version,
            Tls::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) | Tls::PeerIncompatible(_) => {
                Trouble::Suites
            }
            Tls::InvalidCertificate(_) | Tls::NoCertificatesPresented | Tls::UnsupportedNameType => {
                Trouble::Certificate
            }
            _ => Trouble::Other,
        }
    }

    /// Of an I/O error that has rustls's within.
    pub fn within(error: &std::io::Error) -> Option<Self> {
        Self::below(error.get_ref()?)
    }

    /// Of an error that is rustls's, or has it among its sources.
    pub fn below(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<Tls>() {
                return Some(Self::of(tls));
            }
            next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }

    /// Of a driver that keeps only the text of rustls's error: the texts of the errors that matter are compared with it.
    pub fn of_text(text: &str) -> Option<Self> {
        let errors = [
            Tls::AlertReceived(Alert::ProtocolVersion),
            Tls::AlertReceived(Alert::HandshakeFailure),
            Tls::AlertReceived(Alert::InsufficientSecurity),
            Tls::PeerIncompatible(Incompatible::ServerDoesNotSupportTls12Or13),
            Tls::PeerIncompatible(Incompatible::ServerTlsVersionIsDisabledByOurConfig),
            Tls::PeerIncompatible(Incompatible::NoCipherSuitesInCommon),
            Tls::PeerIncompatible(Incompatible::NoKxGroupsInCommon),
            Tls::PeerIncompatible(Incompatible::NoSignatureSchemesInCommon),
            Tls::PeerIncompatible(Incompatible::NoCertificateRequestSignatureSchemesInCommon),
        ];
        errors.iter().find(|error| text.ends_with(&error.to_string())).map(Self::of)
    }

    /// What it means, where rustls's own words do not say it.
    pub fn meaning(self) -> Option<&'static str> {
        match self {
            Trouble::Version => Some("the server has neither TLS 1.2 nor TLS 1.3"),
            Trouble::Suites => Some("the server has no TLS cipher suite that this program takes"),
            Trouble::Closed => Some(
                "the server closed the connection when TLS began, as servers do that have no TLS 1.2 or no cipher suite in common \
                 with this program",
            ),
            Trouble::Certificate | Trouble::NotOffered | Trouble::Other => None,
        }
    }

    /// What can be done at a SQL Server. Builds: "TLS 1.2 support for Microsoft SQL Server" (KB3135244). Suites: "TLS Cipher Suites
    /// in Windows 8.1", which Windows Server 2012 R2 shares: with an RSA certificate none has both ECDHE and GCM.
    pub fn advice_for_sql_server(self) -> Option<&'static str> {
        match self {
            Trouble::Version => Some(
                "Let the server speak TLS 1.2: SQL Server 2012 and 2014 learnt it by an update (KB3135244), Windows has it behind its \
                 Schannel settings. Or end TLS in front of the server (stunnel, SSH, a VPN) and set source.tls = \"disable\" for the hop \
                 behind it; docs/limits.md says more.",
            ),
            Trouble::Suites | Trouble::Closed => Some(
                "Let the server take TLS 1.2 with ECDHE and AES-GCM. Windows Server 2012 R2 and older cannot, with an RSA certificate: \
                 move it to Windows Server 2016 or later, or end TLS in front of it (stunnel, SSH, a VPN) and set source.tls = \"disable\" \
                 for the hop behind that; docs/limits.md says more.",
            ),
            _ => None,
        }
    }

    /// What can be done at a PostgreSQL or MySQL server.
    pub fn advice_for_target(self) -> Option<&'static str> {
        match self {
            Trouble::Version => Some(
                "Let the server speak TLS 1.2 or later: ssl_max_protocol_version on PostgreSQL, tls_version on MySQL and MariaDB, the \
                 parameter group on RDS.",
            ),
            Trouble::Suites => Some(
                "Let the server take a suite with ECDHE and AES-GCM or ChaCha20, such as ECDHE-RSA-AES128-GCM-SHA256: ssl_ciphers on \
                 PostgreSQL, ssl_cipher on MySQL and MariaDB, the parameter group on RDS.",
            ),
            Trouble::NotOffered => Some(
                "Give the server a certificate, so that it speaks TLS; or set target.tls = \"disable\", where nobody listens on the way.",
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError;

    #[test]
    fn causes_are_found_by_type_wherever_they_are() {
        let causes = [
            (Tls::AlertReceived(Alert::ProtocolVersion), Trouble::Version),
            (Tls::PeerIncompatible(Incompatible::ServerDoesNotSupportTls12Or13), Trouble::Version),
            (Tls::AlertReceived(Alert::HandshakeFailure), Trouble::Suites),
            (Tls::AlertReceived(Alert::InsufficientSecurity), Trouble::Suites),
            (Tls::PeerIncompatible(Incompatible::NoCipherSuitesInCommon), Trouble::Suites),
            (Tls::InvalidCertificate(CertificateError::Expired), Trouble::Certificate),
            (Tls::AlertReceived(Alert::InternalError), Trouble::Other),
        ];
        for (error, expected) in causes {
            let text = format!("An error occurred: {error}");
            assert_eq!(Trouble::of(&error), expected);
            let io = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
            assert_eq!(Trouble::within(&io), Some(expected));
            let outer = std::io::Error::other(io);
            assert_eq!(Trouble::within(&outer), Some(expected));
            if matches!(expected, Trouble::Version | Trouble::Suites) {
                assert_eq!(Trouble::of_text(&text), Some(expected));
                assert!(expected.advice_for_sql_server().is_some() && expected.advice_for_target().is_some());
            }
        }
        assert_eq!(Trouble::within(&std::io::Error::other("certificate of a word")), None);
        assert_eq!(Trouble::of_text("connection reset by peer"), None);
    }
}
