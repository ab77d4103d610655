//! A registry of its own for one test: the rig's program with logins, tokens and TLS, and a token server beside it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SigningKey};
use serde_json::json;

use crate::rig::bin;
use crate::support::{program::until, put};

/// A running registry. Dropping it ends it.
pub struct Registry {
    pub address: String,
    child: Child,
}

impl Registry {
    /// Serves a storage folder, with more lines of configuration below `http` and at the top.
    pub fn start(storage: &Path, http: &str, top: &str) -> Registry {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = storage.with_extension(format!("{port}.yaml"));
        let folder = storage.display();
        put(
            &config,
            format!(
                "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: \"{folder}\"}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}\n\
                 http:\n  addr: \"{address}\"\n  secret: e2e\n{http}{top}"
            ),
        );
        let log = std::fs::File::create(storage.with_extension(format!("{port}.log"))).unwrap();
        let mut command = Command::new(bin().join("registry"));
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none").stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let registry = Registry { address, child };
        until("the registry answers", || TcpStream::connect(&registry.address).is_ok());
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority of its own, and a certificate that it gave to `127.0.0.1`.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Configuration of a registry that speaks TLS.
    pub fn tls(&self, folder: &Path) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        put(&folder.join("server.pem"), params.signed_by(&key, &self.issuer).unwrap().pem());
        put(&folder.join("server.key"), key.serialize_pem());
        let folder = folder.display();
        format!("  tls: {{certificate: {folder}/server.pem, key: {folder}/server.key}}\n")
    }
}

/// A server that gives out tokens to whoever knows the password, as Docker Hub and GitLab do. The registry takes a
/// token for a minute longer than it says, so tokens are made that ran out long ago but for some seconds.
pub struct Tokens {
    pub given: Arc<AtomicU64>,
    pub address: String,
    folder: PathBuf,
}

impl Tokens {
    /// Tokens that are good for so many seconds, and said to be good for so many.
    pub fn start(folder: &Path, login: &str, good: u64, said: u64) -> Tokens {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["tokens".to_owned()]).unwrap();
        let chain = STANDARD.encode(params.signed_by(&key, &authority.issuer).unwrap().der());
        put(&folder.join("tokens.pem"), authority.pem());
        let login = format!("Basic {}", STANDARD.encode(login));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let given = Arc::new(AtomicU64::new(0));
        let count = given.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (path, sent) = asked(&stream);
                if sent.as_deref() == Some(&login) {
                    count.fetch_add(1, Ordering::Relaxed);
                    let token = token(&key, &chain, &path, good);
                    answer(&stream, "200 OK", &json!({"token": token, "expires_in": said}).to_string());
                } else {
                    answer(&stream, "401 Unauthorized", "{}");
                }
            }
        });
        Tokens { given, address, folder: folder.to_owned() }
    }

    /// Configuration of a registry that asks for its tokens.
    pub fn auth(&self) -> String {
        let (address, folder) = (&self.address, self.folder.display());
        format!(
            "auth:\n  token: {{realm: \"http://{address}/token\", service: e2e, issuer: e2e, \
             rootcertbundle: \"{folder}/tokens.pem\", signingalgorithms: [ES256]}}\n"
        )
    }
}

/// Path and login of a request.
fn asked(stream: &TcpStream) -> (String, Option<String>) {
    let lines: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/").to_owned();
    let login = lines.iter().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    (path, login.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()))
}

fn answer(mut stream: &TcpStream, status: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all((head + body).as_bytes());
}

/// A JSON web token for the scopes of a request.
fn token(key: &KeyPair, chain: &str, path: &str, good: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let url = url::Url::parse(&format!("http://tokens{path}")).unwrap();
    let scopes = url
        .query_pairs()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, value)| value.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let access = scopes.filter_map(|scope| {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
    });
    let access: Vec<_> = access.collect();
    let claims = json!({
        "iss": "e2e", "sub": "me", "aud": "e2e", "exp": now - LEEWAY + good, "nbf": now - 3600, "iat": now - 3600,
        "jti": now.to_string(), "access": access,
    });
    let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [chain]});
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(fixed(&key.sign(text.as_bytes()).unwrap()));
    format!("{text}.{signature}")
}

/// So much longer than it says a registry takes a token, for clocks that differ.
const LEEWAY: u64 = 60;

/// A signature as tokens have it: two numbers of 32 bytes, which certificates wrap into ASN.1.
fn fixed(der: &[u8]) -> Vec<u8> {
    let first = der[3] as usize;
    let numbers = [&der[4..4 + first], &der[6 + first..]];
    numbers
        .into_iter()
        .flat_map(|number| {
            let number = &number[number.len().saturating_sub(32)..];
            [vec![0; 32 - number.len()], number.to_vec()].concat()
        })
        .collect()
}

/// A way to a server that is slow, and breaks off once.
pub struct Way {
    pub address: String,
    /// Broken connections, and what was asked for with a range.
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Way {
    /// To a server; the first connection that has brought so many bytes waits for so long and breaks. Every 8 KiB take
    /// so long.
    pub fn start(to: &str, after: u64, wait: Duration, slow: Duration) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (to, log) = (to.to_owned(), seen.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&to).unwrap();
                let (back, forth) = ((server.try_clone().unwrap(), client.try_clone().unwrap()), (client, server));
                let (log, heard) = (log.clone(), log.clone());
                std::thread::spawn(move || {
                    copy(forth.0, forth.1, slow, |bytes, _| {
                        let text = String::from_utf8_lossy(bytes);
                        let ranges = text.lines().filter(|line| line.to_lowercase().starts_with("range:"));
                        heard.lock().unwrap().extend(ranges.map(str::to_lowercase));
                        true
                    })
                });
                std::thread::spawn(move || {
                    copy(back.0, back.1, slow, |_, all| {
                        let mut log = log.lock().unwrap();
                        if all < after || log.iter().any(|line| line == "broken") {
                            return true;
                        }
                        log.push("broken".to_owned());
                        drop(log);
                        std::thread::sleep(wait);
                        false
                    })
                });
            }
        });
        Way { address, seen }
    }
}

/// Copies until the end, or until `go_on` says no, of the bytes and of how many there were in all.
fn copy(mut from: TcpStream, mut to: TcpStream, slow: Duration, go_on: impl Fn(&[u8], u64) -> bool) {
    let (mut buffer, mut all) = (vec![0; 8 << 10], 0);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        all += n as u64;
        std::thread::sleep(slow);
        if !go_on(&buffer[..n], all) || to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
}
