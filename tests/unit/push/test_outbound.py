"""Which URLs and addresses are allowed. `contract/test_outbound.py` tests the requests on real sockets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest, SettingError
from shared.push.outbound import URL_MAX_CHARS, UrlPolicy

CLOUD = UrlPolicy(hosts=("receiver.example", "*.logic.azure.com", "bücher.example"))
LAPTOP = UrlPolicy(hosts=("127.0.0.1", "::1", "localhost", "169.254.169.254"), allow_private=True)

# ---- which URLs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://receiver.example/hook?sig=a%2Bb", "receiver.example"),
        ("https://receiver.example", "receiver.example"),
        ("https://receiver.example:443/", "receiver.example"),
        ("HTTPS://Receiver.EXAMPLE./a", "receiver.example"),
        ("https://a.b.logic.azure.com/", "a.b.logic.azure.com"),
        ("https://bücher.example/straße", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("https://receiver。example/", "receiver.example"),
        ("https://ｒeceiver.example/", "receiver.example"),
    ],
)
def test_allowed_urls_and_their_hosts(url: str, host: str) -> None:
    assert CLOUD.check_url(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/",
        "https://logic.azure.com/",
        "https://evillogic.azure.com/",
        "https://receiver.example.evil.com/",
        "https://sub.receiver.example/",
        "https://evil.com/receiver.example",
        "https://evil.com/?@receiver.example",
        "https://localhost/",
    ],
)
def test_other_hosts_are_not_allowed(url: str) -> None:
    with pytest.raises(BadRequest, match="CALLBACK_HOSTS") as caught:
        CLOUD.check_url(url)
    assert caught.value.code == "callback_not_allowed"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "receiver.example",
        "//receiver.example/",
        "https:receiver.example",
        "https://",
        "https:///path",
        "http://receiver.example/",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "https://receiver.example:8443/",
        "https://receiver.example:0/",
        "https://receiver.example:99999/",
        "https://receiver.example:x/",
        "https://user@receiver.example/",
        "https://user:password@receiver.example/",
        "https://@receiver.example/",
        "https://receiver.example@evil.com/",
        "https://receiver.example/#fragment",
        "https://evil.com#@receiver.example/",
        "https://evil.com\\@receiver.example/",
        "https://receiver.example/a b",
        "https://receiver.example/a\r\nHost: evil.com",
        " https://receiver.example/",
        "https://receiver.example\t/",
        "https://receiver.example\u2028/",
        "https://evil.com\uff03@receiver.example",
        "https://evil.com\uff0f.logic.azure.com/",
        "https://receiv%65r.example/",
        "https://receiver.example%00.evil.com/",
        "https://receiver.example../",
        "https://-a.logic.azure.com/",
        f"https://{'a' * 64}.logic.azure.com/",
        f"https://{'a.' * 130}logic.azure.com/",
        "https://receiver.example/\ud800",
        "https://127.0.0.1/",
        "https://8.8.8.8/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://x.0x7f/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[receiver.example]/",
        "https://[::1",
        "https://receiver.example/" + "a" * URL_MAX_CHARS,
    ],
)
def test_malformed_and_misleading_urls_are_invalid(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        CLOUD.check_url(url)
    assert caught.value.code == "invalid_callback_url"


@given(
    st.text()
    | st.text().map(lambda text: f"https://{text}")
    | st.text().map(lambda text: f"https://receiver.example{text}")
)
def test_any_text_is_allowed_or_a_bad_request(url: str) -> None:
    """An allowed URL always has a listed host."""
    try:
        host = CLOUD.check_url(url)
    except BadRequest as exc:
        assert exc.code in ("invalid_callback_url", "callback_not_allowed")
    else:
        assert host in ("receiver.example", "xn--bcher-kva.example") or host.endswith(".logic.azure.com")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:7071/x", "http://[::1]:5/", "http://localhost:1/", "https://localhost/"]
)
def test_allow_private_allows_private_hosts_http_and_any_port(url: str) -> None:
    LAPTOP.check_url(url)


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://127.1/", "http://2130706433/", "http://10.0.0.1/", "http://[::2]/"]
)
def test_allow_private_still_requires_a_listed_host_and_rejects_metadata_services(url: str) -> None:
    with pytest.raises(BadRequest):
        LAPTOP.check_url(url)


def test_without_hosts_nothing_is_allowed() -> None:
    with pytest.raises(BadRequest, match="CALLBACK_HOSTS"):
        UrlPolicy(hosts=()).check_url("https://receiver.example/")


@pytest.mark.parametrize("entry", ["*", "*.", "", "https://a.com", "a.com/", "a.com:8443", "a@b.com", "a b", "*.*.com"])
def test_an_entry_that_is_not_a_host_is_a_setting_error(entry: str) -> None:
    with pytest.raises(SettingError, match="CALLBACK_HOSTS"):
        UrlPolicy(hosts=("receiver.example", entry))


# ---- which addresses ---------------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "::1",
    "fc00::1",
    "fd12::1",
]
NEVER = {
    "this network": "0.0.0.0",
    "this host": "0.1.2.3",
    "carrier": "100.64.0.1",
    "Alibaba metadata": "100.100.100.200",
    "metadata": "169.254.169.254",
    "link-local": "169.254.1.1",
    "Azure platform": "168.63.129.16",
    "protocol assignments": "192.0.0.8",
    "documentation": "192.0.2.1",
    "6to4 relay": "192.88.99.1",
    "benchmarks": "198.18.0.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "unspecified": "::",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped public": "::ffff:8.8.8.8",
    "translated": "::ffff:0:7f00:1",
    "compatible": "::127.0.0.1",
    "NAT64": "64:ff9b::7f00:1",
    "local NAT64": "64:ff9b:1::7f00:1",
    "discard": "100::1",
    "Teredo": "2001:0:53aa:64c:0:fbfa:807e:fffe",
    "ORCHID": "2001:20::1",
    "6to4": "2002:7f00:1::",
    "documentation, IPv6": "2001:db8::1",
    "documentation, new": "3fff::1",
    "link-local, IPv6": "fe80::1",
    "link-local with zone": "fe80::1%eth0",
    "site-local": "fec0::1",
    "AWS metadata, IPv6": "fd00:ec2::254",
    "Google metadata, IPv6": "fd20:ce::254",
    "multicast, IPv6": "ff02::1",
    "no address": "receiver.example",
    "short": "127.1",
    "empty": "",
}


@pytest.mark.parametrize("ip", ["8.8.8.8", "20.50.2.1", "172.32.0.1", "2606:4700::1111", "2a01:111:f100:2000::1"])
@pytest.mark.parametrize("policy", [CLOUD, LAPTOP], ids=["cloud", "laptop"])
def test_public_addresses_are_allowed(policy: UrlPolicy, ip: str) -> None:
    policy.check_address(ip)


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses_are_allowed_only_with_allow_private(ip: str) -> None:
    LAPTOP.check_address(ip)
    with pytest.raises(BadRequest) as caught:
        CLOUD.check_address(ip)
    assert caught.value.code == "callback_not_allowed"
    assert ip not in caught.value.message, "the error must not reveal internal addresses"


@pytest.mark.parametrize("ip", NEVER.values(), ids=NEVER.keys())
@pytest.mark.parametrize("policy", [CLOUD, LAPTOP], ids=["cloud", "laptop"])
def test_addresses_that_are_never_allowed(policy: UrlPolicy, ip: str) -> None:
    with pytest.raises(BadRequest):
        policy.check_address(ip)
