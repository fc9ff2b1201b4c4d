use pki::{Ca, Identity, Template};
use stdx::Clock as _;
use testkit::FakeClock;

use super::super::{Authentication, Authenticator as _, X509};
use super::*;

async fn check(authentication: &Authentication, holder: &Identity, headers: &str, expected: &str) {
    let credentials = Credentials {
        certificates: holder.chain().unwrap().iter().map(|c| c.to_vec()).collect(),
        headers: headers
            .split(", ")
            .filter_map(|h| h.split_once(": "))
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect(),
        ..Credentials::default()
    };
    let got = match authentication.authenticate(&credentials).await {
        Ok(Some(user)) => {
            let extra: Vec<String> = user
                .extra
                .iter()
                .filter(|(k, _)| !k.contains('/'))
                .map(|(k, v)| format!(" {k}={}", v.join("+")))
                .collect();
            format!("{}{} {}{}", user.name, user.uid, user.groups.join(","), extra.concat())
        }
        Ok(None) => "nobody".into(),
        Err(e) => format!("401 {e}"),
    };
    assert_eq!(got, expected, "{headers}");
}

#[tokio::test]
async fn who_is_behind_a_proxy() {
    let clock = FakeClock::new();
    let (clients, _) = Ca::create("clients", clock.now()).unwrap();
    let (proxies, _) = Ca::create("proxies", clock.now()).unwrap();
    let of = |ca: &Ca, name: &str| ca.issue(&Template::client(name, "g"), clock.now()).unwrap();
    let proxy =
        RequestHeader::new(proxies.cert_pem(), vec!["front".into()], HeaderNames::default(), clock.shared());
    let x509 = X509::new(clients.cert_pem(), clock.shared()).unwrap();
    let authentication =
        Authentication::new(Some(x509), Vec::new(), Vec::new(), true).with_front_proxy(proxy.unwrap());
    let (front, back, jane) = (of(&proxies, "front"), of(&proxies, "back"), of(&clients, "jane"));
    let check = async |holder: &Identity, headers: &str, expected: &str| {
        check(&authentication, holder, headers, expected).await;
    };
    check(&front, "X-Remote-User: bob", "bob system:authenticated").await;
    let all = "x-remote-user: bob, x-remote-uid: 7, X-Remote-Group: a, x-remote-group: b, X-Remote-Extra-Acme%2dscope: x, \
               x-remote-extra-acme%2dscope: y";
    check(&front, all, "bob7 a,b,system:authenticated acme-scope=x+y").await;
    // A client's certificate makes no proxy, and a proxy's makes no client.
    check(&jane, "x-remote-user: root, x-remote-group: system:masters", "jane g,system:authenticated").await;
    let refused =
        "401 [x509: subject with cn=back is not in the allowed list, verifying client certificate failed: ";
    let credentials = Credentials {
        certificates: back.chain().unwrap().iter().map(|c| c.to_vec()).collect(),
        headers: vec![("x-remote-user".into(), "root".into())],
        ..Credentials::default()
    };
    let error = format!("401 {}", authentication.authenticate(&credentials).await.unwrap_err());
    assert!(error.starts_with(refused), "{error}");
    let nobody = Credentials {
        certificates: front.chain().unwrap().iter().map(|c| c.to_vec()).collect(),
        ..Credentials::default()
    };
    assert!(authentication.authenticate(&nobody).await.is_err());
}
