import pytest

from nst_daemon.config.addresses import Address, Scheme


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("gpu1", "tls://gpu1:8786"),
        ("gpu1.studio.lan:9000", "tls://gpu1.studio.lan:9000"),
        ("192.168.1.5", "tls://192.168.1.5:8786"),
        ("fd00::1", "tls://[fd00::1]:8786"),
        ("[fd00::1]:9000", "tls://[fd00::1]:9000"),
    ],
)
def test_a_host_has_an_address_which_can_be_read_again(host: str, address: str) -> None:
    made = Address.of_host(host)
    assert str(made) == address
    assert Address.parse(address) == made
    assert made.scheme is Scheme.TLS


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "a b", "a/b", "-x", "ü", "[gpu1", "gpu1:", "gpu1:0", "gpu1:70000", "gpu1:x"),
        *("0.0.0.0", "::", "224.0.0.1", "300.1.1.1"),
    ],
)
def test_what_no_machine_is_called_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"names no host|no port between|no address of one"):
        Address.of_host(host)


@pytest.mark.parametrize("text", ["gpu1:8786", "http://gpu1:8786", "tls://gpu1", "tls:gpu1:8786", "://x:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not begin|has no port"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.8.0.1:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://localhost:1", True),
        ("tcp://192.168.1.5:1", False),
        ("tcp://localhost.example:1", False),
        ("tcp://gpu1:1", False),
    ],
)
def test_only_this_machine_reaches_its_loopback(text: str, is_loopback: bool) -> None:
    assert Address.parse(text).is_loopback is is_loopback
