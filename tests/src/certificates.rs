//! Certificates for the servers of the tests: good ones, and each kind of bad one.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// What a server certificate says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// For 127.0.0.1 and localhost, valid today.
    Good,
    /// For the right host, but it ended yesterday.
    Expired,
    /// Valid, but for another host.
    WrongHost,
}

/// A certificate authority of our own.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's certificate, PEM: what a client is told to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate and key, PEM.
    pub fn server(&self, flavour: Flavour) -> Result<(String, String)> {
        let names: &[&str] = match flavour {
            Flavour::WrongHost => &["elsewhere.example"],
            Flavour::Good | Flavour::Expired => &["127.0.0.1", "localhost"],
        };
        // rcgen makes address entries of names that are addresses.
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, names[0]);
        let now = OffsetDateTime::now_utc();
        params.not_before = now - Duration::days(30);
        params.not_after = if flavour == Flavour::Expired { now - Duration::days(1) } else { now + Duration::days(30) };
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// Writes a PEM file and returns its path.
pub fn write(directory: &Path, name: &str, pem: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    std::fs::write(&path, pem).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
