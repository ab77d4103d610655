//! Certificates: an authority of our own, and what it signs. ECDSA on P-256, because every client of a cluster knows
//! it. An authority that was brought by hand may have any key that signs.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use zeroize::Zeroizing;

use super::GenerateError;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate, its key and its authority's certificate, PEM each.
pub struct Pair {
    /// The certificate.
    pub cert: Zeroizing<String>,
    /// Its private key.
    pub key: Zeroizing<String>,
    /// The certificate of who signed it; an authority of our own signs itself.
    pub ca: Zeroizing<String>,
}

/// Who signs.
pub(super) struct Authority<'a> {
    /// The secret's name, for errors.
    pub name: &'a str,
    /// Its certificate, PEM.
    pub cert: &'a str,
    /// Its private key, PEM.
    pub key: &'a str,
}

/// An authority of our own.
pub(super) fn authority(common_name: &str, days: u32, now: SystemTime) -> Result<Pair, GenerateError> {
    let mut params = params(&[], common_name, days, now)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(|e| wrong(&e))?;
    let cert = Zeroizing::new(params.self_signed(&key).map_err(|e| wrong(&e))?.pem());
    Ok(Pair { ca: cert.clone(), cert, key: Zeroizing::new(key.serialize_pem()) })
}

/// A certificate for servers and clients.
pub(super) fn signed(
    authority: &Authority,
    common_name: &str,
    names: &[String],
    days: u32,
    now: SystemTime,
) -> Result<Pair, GenerateError> {
    let unusable = |_| GenerateError::Authority(authority.name.to_owned());
    let signing = KeyPair::from_pem(authority.key).map_err(unusable)?;
    let issuer = Issuer::from_ca_cert_pem(authority.cert, signing).map_err(unusable)?;
    // A client compares the names, and looks at the common name only where there are none.
    let own = [common_name.to_owned()];
    let names = if names.is_empty() { &own } else { names };
    let mut params = params(names, common_name, days, now)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(|e| wrong(&e))?;
    let cert = params.signed_by(&key, &issuer).map_err(|e| wrong(&e))?;
    Ok(Pair {
        cert: Zeroizing::new(cert.pem()),
        key: Zeroizing::new(key.serialize_pem()),
        ca: Zeroizing::new(authority.cert.to_owned()),
    })
}

/// A name that is an address becomes one.
fn params(names: &[String], common_name: &str, days: u32, now: SystemTime) -> Result<CertificateParams, GenerateError> {
    let mut params = CertificateParams::new(names).map_err(|e| wrong(&e))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // From yesterday on: a node's clock may be behind.
    params.not_before = date_time_ymd(1970, 1, 1) + since.saturating_sub(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + since + DAY * days;
    Ok(params)
}

/// rcgen names what it refuses, and never a key.
fn wrong(error: &rcgen::Error) -> GenerateError {
    GenerateError::Names(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
    use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
    }

    fn made(ca: &Pair, names: &[&str]) -> Result<Pair, GenerateError> {
        let authority = Authority { name: "site.ca", cert: &ca.cert, key: &ca.key };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        signed(&authority, "minio", &names, 825, now())
    }

    /// What a client does: the chain at a time, then the name.
    fn verify(pair: &Pair, name: &str, at: SystemTime) -> Result<(), webpki::Error> {
        let ca = CertificateDer::from_pem_slice(pair.ca.as_bytes()).unwrap();
        let anchors = [anchor_from_trusted_cert(&ca)?];
        let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
        let cert = EndEntityCert::try_from(&cert)?;
        let time = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
            cert.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[], time, usage, None, None)?;
        }
        cert.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())
    }

    #[test]
    fn a_client_that_trusts_the_authority_takes_what_it_signed() {
        let ca = authority("Site CA", 3650, now()).unwrap();
        let pair = made(&ca, &["minio.minio.svc", "10.0.0.1"]).unwrap();
        verify(&pair, "minio.minio.svc", now()).unwrap();
        verify(&pair, "10.0.0.1", now() + DAY * 824).unwrap();
        assert!(verify(&pair, "minio.other.svc", now()).is_err());
        assert!(matches!(verify(&pair, "minio.minio.svc", now() + DAY * 826), Err(webpki::Error::CertExpired { .. })));
        assert!(matches!(
            verify(&pair, "minio.minio.svc", now() - DAY * 2),
            Err(webpki::Error::CertNotValidYet { .. })
        ));
        let other = authority("Site CA", 3650, now()).unwrap();
        let foreign = Pair { ca: other.ca, ..made(&ca, &["minio"]).unwrap() };
        assert!(verify(&foreign, "minio", now()).is_err());
    }

    #[test]
    fn without_names_the_common_name_is_the_name() {
        let ca = authority("Site CA", 10, now()).unwrap();
        verify(&made(&ca, &[]).unwrap(), "minio", now()).unwrap();
    }

    #[test]
    fn what_is_no_authority_is_said_without_its_key() {
        let ca = authority("Site CA", 10, now()).unwrap();
        for (cert, key) in [(ca.cert.as_str(), "hush"), ("hush", ca.key.as_str())] {
            let authority = Authority { name: "site.ca", cert, key };
            let error = signed(&authority, "x", &[], 10, now()).err().unwrap();
            assert_eq!(error.to_string(), "the authority `site.ca` has no certificate and key in PEM that can be used");
        }
        assert!(made(&ca, &["bücher"]).is_err());
    }
}
