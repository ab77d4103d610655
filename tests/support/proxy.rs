//! A proxy as companies have them, and the TLS of the internet behind it: CONNECT to any host leads to one server that
//! shows a certificate of an own authority for that host, and plain requests are passed on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A running proxy. Dropping it stops it.
pub struct Proxy {
    pub address: SocketAddr,
    /// The authority of all hosts behind it, PEM.
    pub authority: String,
    seen: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Way {
    /// The plain server that plays every host.
    internet: String,
    /// `Basic …`, where the proxy asks for a login.
    login: Option<String>,
    issuer: CertifiedIssuer<'static, KeyPair>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy before a server that tells hosts apart by their name; with a login in base64 where it wants one.
    pub fn start(internet: &str, login: Option<&str>) -> Proxy {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = issuer.pem();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let login = login.map(|login| format!("Basic {login}"));
        let internet = internet.trim_start_matches("http://").to_owned();
        let way = Arc::new(Way { internet, login, issuer, seen: seen.clone() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, way) => {}
                    _ = stopped => {}
                }
            });
        });
        Proxy { address, authority, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// The first lines of what it was asked, sorted, each once.
    pub fn asked(&self) -> Vec<String> {
        let mut all = self.seen.lock().unwrap().clone();
        all.sort();
        all.dedup();
        all
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    while let Ok((stream, _)) = listener.accept().await {
        let way = way.clone();
        // Whoever goes away ends its connection with an error: that is its end.
        tokio::spawn(async move { serve(stream, &way).await.ok() });
    }
}

async fn serve(stream: TcpStream, way: &Way) -> std::io::Result<()> {
    let mut client = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.lines().next().unwrap_or_default().to_owned();
    let words: Vec<&str> = line.split(' ').collect();
    way.seen.lock().unwrap().push(words[..2].join(" "));
    let sent = head.lines().find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization:"));
    let sent = sent.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned());
    if way.login.is_some() && sent != way.login {
        let refusal =
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        return client.get_mut().write_all(refusal.as_bytes()).await;
    }
    let mut internet = TcpStream::connect(&way.internet).await?;
    if words[0] != "CONNECT" {
        // The server tells hosts apart by the header; it wants the path alone.
        let path =
            words[1].strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or("/");
        internet.write_all(head.replacen(words[1], path, 1).as_bytes()).await?;
        return copy_bidirectional(&mut client, &mut internet).await.map(|_| ());
    }
    client.get_mut().write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let host = words[1].split(':').next().unwrap_or_default().to_owned();
    let mut secure = TlsAcceptor::from(tls(&way.issuer, &host)).accept(client.into_inner()).await?;
    copy_bidirectional(&mut secure, &mut internet).await.map(|_| ())
}

/// A server's side of TLS, with a certificate for a host.
pub fn tls(issuer: &CertifiedIssuer<'static, KeyPair>, host: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}
