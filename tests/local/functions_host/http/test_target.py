"""How the target of a request becomes the path, the query and the URL that functions see."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest

from local.functions_host.http.cookies import set_cookie
from local.functions_host.http.target import BadTarget, decoded_path, encoded_path, joined, query_pairs, split_target


@pytest.mark.parametrize(
    ("sent", "path", "url"),
    [
        ("/a%2Fb", "/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2fb", "/a%2fb"),
        ("/a%252Fb", "/a%2Fb", "/a%2Fb"),
        ("/a%20b", "/a b", "/a%20b"),
        ("/%C3%A9/%E2%82%AC/%F0%9F%98%80", "/é/€/😀", "/%C3%A9/%E2%82%AC/%F0%9F%98%80"),
        ("/a+b", "/a+b", "/a+b"),
        ("/a%2Bb", "/a+b", "/a+b"),
        ("/100%25", "/100%", "/100%25"),
        ("/%zz", "/%zz", "/%25zz"),
        ("/a%", "/a%", "/a%25"),
        ("/a%4", "/a%4", "/a%254"),
        ("/%FF", "/%FF", "/%FF"),
        ("/%C3x", "/%C3x", "/%C3x"),
        ("/%E2%82", "/%E2%82", "/%E2%82"),
        ("/%C0%80", "/%C0%80", "/%C0%80"),
        ("/%ED%A0%80", "/%ED%A0%80", "/%ED%A0%80"),
        ("/a%3Fb%23c", "/a?b#c", "/a%3Fb%23c"),
        ("/a%5Cb", "/a\\b", "/a%5Cb"),
        ("/a\\b", "/a\\b", "/a%5Cb"),
        ("/a%0D%0Ab", "/a\r\nb", "/a%0D%0Ab"),
        ('/"<>^`{|}', '/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/a;b=1,c:@$&'()*!~", "/a;b=1,c:@$&'()*!~", "/a;b=1,c:@$&'()*!~"),
        ("/a/../b", "/b", "/b"),
        ("/a/./b", "/a/b", "/a/b"),
        ("/a/%2e%2E/b", "/b", "/b"),
        ("/a/..", "/", "/"),
        ("/a/b/.", "/a/b/", "/a/b/"),
        ("/../../a", "/a", "/a"),
        ("/a/.../b", "/a/.../b", "/a/.../b"),
        ("/a/.b/..c", "/a/.b/..c", "/a/.b/..c"),
        ("/a%2F..%2Fb", "/a%2F..%2Fb", "/a%2F..%2Fb"),
        ("/a//../b", "/a/b", "/a/b"),
        ("/a//b", "/a//b", "/a//b"),
    ],
)
def test_a_path_is_decoded_before_its_dot_segments_are_resolved(sent: str, path: str, url: str) -> None:
    assert decoded_path(sent) == path
    assert encoded_path(path) == url


@pytest.mark.parametrize("target", [b"/a%00b", "/é".encode(), b"/a#b", b"/a?b#c", b"http://other/a", b"a", b"mailto:a"])
def test_a_target_is_refused(target: bytes) -> None:
    with pytest.raises(BadTarget):
        decoded_path(split_target(target, "here")[0])


def test_an_absolute_target_of_this_host_is_taken() -> None:
    assert split_target(b"http://here:1/a?b=/", "Here:1") == ("/a", "b=/")


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&a=2&A=3", {"a": "1,2,3"}),
        ("a=1&a=", {"a": "1"}),
        ("a=&a=1", {"a": "1"}),
        ("a=", {"a": ""}),
        ("&&a", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a=x+y%2Bz", {"a": "x y+z"}),
        ("a=%FF%C3%A9%zz", {"a": "%FFé%zz"}),
        ("a%5B%5D=1", {"a[]": "1"}),
    ],
)
def test_a_query_is_decoded_and_its_names_are_merged(query: str, params: dict[str, str]) -> None:
    assert joined(query_pairs(query)) == params


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("a=1; Path=/; HttpOnly; SameSite=Lax", "a=1; domain=; path=/; samesite=lax; httponly"),
        ("b=2; Max-Age=3600; Secure", "b=2; max-age=3600; domain=; path=; secure"),
        ('c="x y"; Domain=a.example', "c=x%20y; domain=a.example; path="),
        ("d=; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "d=; expires=Wed, 21 Oct 2026 07:28:00 GMT; domain=; path="),
        ("e=1; SameSite=Odd", "e=1; domain=; path="),
    ],
)
def test_a_cookie_is_written_anew(given: str, sent: str) -> None:
    [morsel] = SimpleCookie(given).values()
    assert set_cookie(morsel) == sent
