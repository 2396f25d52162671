//! Where a callback may go. A tenant names the address and the service connects to it from inside, so every address
//! is taken for an attempt to reach something that the tenant cannot reach itself.

use offload_api::Invalid;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// What a tenant's callbacks may reach.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The only hosts, when there is a list; they may have private addresses.
    pub hosts: Option<&'a [String]>,
    /// Whether `http` will do.
    pub allow_http: bool,
}

/// A callback's address, as far as its text tells.
#[derive(Clone, Debug)]
pub struct Target {
    url: Url,
    /// Its host is on the tenant's list.
    listed: bool,
}

impl Target {
    /// The target of this text.
    ///
    /// # Errors
    /// What is wrong with it, for its owner.
    pub fn parse(text: &str, rules: Rules<'_>) -> Result<Target, Invalid> {
        let refused = |why: String| Invalid::new("/callback_url", why);
        let url = Url::parse(text).map_err(|e| refused(format!("callback_url is no address: {e}")))?;
        match url.scheme() {
            "https" => {}
            "http" if rules.allow_http => {}
            "http" => return Err(refused("callback_url must be https (callbacks.allow_http)".into())),
            _ => return Err(refused("callback_url must be https".into())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("callback_url must not hold a user or a password".into()));
        }
        if url.fragment().is_some() {
            return Err(refused("callback_url must not hold a fragment".into()));
        }
        let Some(host) = url.host() else { return Err(refused("callback_url has no host".into())) };
        let name = host.to_string().to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        let listed = rules.hosts.is_some_and(|hosts| hosts.iter().any(|h| covers(h, name)));
        if rules.hosts.is_some() && !listed {
            return Err(refused(
                "the host of callback_url is not on the tenant's list (tenant quota callback_hosts)".into(),
            ));
        }
        let address = match host {
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
            Host::Domain(_) => None,
        };
        let target = Target { listed, url };
        if let Some(ip) = address {
            permits(ip, target.listed).map_err(|why| refused(format!("callback_url must not name {why}")))?;
        } else if !target.listed
            && (name == "localhost" || name.ends_with(".localhost") || !name.contains('.'))
        {
            return Err(refused(
                "callback_url must not name an inside host that is not on the tenant's list".into(),
            ));
        }
        Ok(target)
    }

    /// The address as text.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether its host is on the tenant's list, and may have a private address.
    pub fn listed(&self) -> bool {
        self.listed
    }
}

/// Whether the service may connect to an address of a host that is `listed`, or is not.
///
/// # Errors
/// What kind of address it is.
pub fn permits(ip: IpAddr, listed: bool) -> Result<(), &'static str> {
    match kind(ip) {
        Kind::Public => Ok(()),
        Kind::Private if listed => Ok(()),
        Kind::Private => Err("a private address"),
        Kind::Never(what) => Err(what),
    }
}

/// Whether an entry of the list covers a host: the same, or `*.example.com` for those below it.
fn covers(entry: &str, name: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    match entry.strip_prefix("*.") {
        Some(parent) => name.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => entry.trim_matches(['[', ']']) == name.trim_matches(['[', ']']),
    }
}

enum Kind {
    Public,
    Private,
    Never(&'static str),
}

fn kind(ip: IpAddr) -> Kind {
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

/// The special-purpose registries of IANA (RFC 6890 and its updates), and where clouds keep metadata.
fn kind_v4(ip: Ipv4Addr) -> Kind {
    let [a, b, c, d] = ip.octets();
    match (a, b, c, d) {
        (169, 254, ..) => Kind::Never("a link-local or metadata address"),
        (100, 100, 100, 200) | (192, 0, 0, 192) | (168, 63, 129, 16) => Kind::Never("a metadata address"),
        (0, ..) => Kind::Never("an unspecified address"),
        (224..=255, ..) => Kind::Never("a multicast or reserved address"),
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => Kind::Never("a documentation address"),
        (10, ..) | (127, ..) | (172, 16..=31, ..) | (192, 168, ..) | (100, 64..=127, ..) => Kind::Private,
        (192, 0, 0, _) | (198, 18..=19, ..) | (192, 88, 99, _) => Kind::Private,
        _ => Kind::Public,
    }
}

fn kind_v6(ip: Ipv6Addr) -> Kind {
    let s = ip.segments();
    let last = |hi: u16, lo: u16| Ipv4Addr::from((u32::from(hi) << 16) | u32::from(lo));
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private,
        // Other spellings of IPv4 addresses: mapped, compatible, translated (RFC 6052, RFC 8215), 6to4.
        [0, 0, 0, 0, 0, 0xffff, hi, lo]
        | [0, 0, 0, 0, 0xffff, 0, hi, lo]
        | [0, 0, 0, 0, 0, 0, hi, lo]
        | [0x64, 0xff9b, 0, 0, 0, 0, hi, lo]
        | [0x2002, hi, lo, ..] => kind_v4(last(hi, lo)),
        [0x64, 0xff9b, 1, ..] => Kind::Never("a translated address"),
        // Teredo hides the client's address by inverting it.
        [0x2001, 0, .., hi, lo] => kind_v4(last(!hi, !lo)),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Kind::Never("a metadata address"),
        [0xfe80..=0xfebf, ..] => Kind::Never("a link-local or metadata address"),
        [0xfec0..=0xfeff, ..] | [0xfc00..=0xfdff, ..] => Kind::Private,
        [0xff00..=0xffff, ..] => Kind::Never("a multicast or reserved address"),
        [0x2001, 0xdb8, ..] | [0x100, 0, 0, 0, ..] => Kind::Never("a documentation or discard address"),
        _ => Kind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, hosts: Option<&[&str]>, allow_http: bool) -> Result<Target, Invalid> {
        let hosts: Option<Vec<String>> = hosts.map(|h| h.iter().map(ToString::to_string).collect());
        Target::parse(text, Rules { hosts: hosts.as_deref(), allow_http })
    }

    #[test]
    fn public_https_is_allowed_without_a_list() {
        for text in [
            "https://heliosdb.example.com/gpu/callback",
            "https://hooks.example.com:8443/a?b=c",
            "https://8.8.8.8/x",
            "https://[2606:4700::1111]/x",
        ] {
            assert!(parse(text, None, false).is_ok(), "{text}");
        }
    }

    #[test]
    fn inside_addresses_are_refused_however_they_are_spelt() {
        for text in [
            "http://hooks.example.com/x",
            "ftp://hooks.example.com/x",
            "file:///etc/passwd",
            "gopher://hooks.example.com/x",
            "https://user:pass@hooks.example.com/x",
            "https://hooks.example.com@127.0.0.1/x",
            "https://localhost/x",
            "https://LOCALHOST./x",
            "https://db.localhost/x",
            "https://intranet/x",
            "https://127.0.0.1/x",
            "https://127.1/x",
            "https://2130706433/x",
            "https://0x7f000001/x",
            "https://0177.0.0.1/x",
            "https://10.1.2.3/x",
            "https://172.16.0.1/x",
            "https://192.168.1.1/x",
            "https://100.64.0.1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://[fd00:ec2::254]/latest/meta-data",
            "https://100.100.100.200/latest",
            "https://0.0.0.0/x",
            "https://[::]/x",
            "https://[::1]/x",
            "https://[::ffff:127.0.0.1]/x",
            "https://[::ffff:a9fe:a9fe]/x",
            "https://[::127.0.0.1]/x",
            "https://[64:ff9b::a9fe:a9fe]/x",
            "https://[2002:7f00:1::]/x",
            "https://[2001:0:1:2:3:4:80ff:fffe]/x",
            "https://[fe80::1]/x",
            "https://[fc00::1]/x",
            "https://[ff02::1]/x",
            "https://255.255.255.255/x",
            "https://224.0.0.1/x",
            "https://１２７.０.０.１/x",
            "https:///x",
            "",
            "not an address",
        ] {
            assert!(parse(text, None, false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_the_only_hosts_and_may_name_inside_ones_but_never_metadata() {
        let hosts: &[&str] = &["heliosdb", "10.0.0.7", "*.corp.example", "169.254.169.254", "[::1]"];
        for text in [
            "https://heliosdb/ml/callback",
            "https://10.0.0.7/x",
            "https://a.b.corp.example/x",
            "https://[::1]/x",
        ] {
            assert!(parse(text, Some(hosts), false).is_ok(), "{text}");
        }
        for text in [
            "https://other/x",
            "https://corp.example/x",
            "https://evilcorp.example/x",
            "https://10.0.0.8/x",
            "https://heliosdb.example.com/x",
            "https://169.254.169.254/x",
        ] {
            assert!(parse(text, Some(hosts), false).is_err(), "{text}");
        }
        assert!(parse("http://heliosdb/x", Some(hosts), true).is_ok());
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_when_it_is_looked_up() {
        let permitted =
            |target: &Target, ip: &str| permits(ip.parse().expect("an address"), target.listed()).is_ok();
        let outside = parse("https://rebind.example.com/x", None, false).expect("a name");
        for ip in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:192.168.0.1"] {
            assert!(!permitted(&outside, ip), "{ip}");
        }
        assert!(permitted(&outside, "93.184.216.34"));
        let inside = parse("https://heliosdb/x", Some(&["heliosdb"]), false).expect("a name");
        assert!(permitted(&inside, "10.0.0.1"));
        assert!(!permitted(&inside, "169.254.169.254"));
    }
}
