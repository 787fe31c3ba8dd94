"""The keys of a farm: a certificate authority of its own, a certificate for each role, and the join file.

`keys.json` is the coordinator's, `join.json` goes to the other machines; both are their owner's alone. The
authority's own key is forgotten once both certificates are signed, so that nobody can ever make a third. All
seats share one certificate: TLS proves that the other side is of this farm, and not which machine it is.
"""

import datetime
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nst_daemon import disk
from nst_daemon.config.addresses import Address, Scheme
from nst_daemon.disk import locks
from nst_daemon.disk.files import written_whole
from nst_daemon.errors import ConditionError, ConfigError, MissingError, NameRefusedError

if TYPE_CHECKING:
    from distributed.security import Security

FOLDER: Final = "farm"
KEYS: Final = "keys.json"
JOIN: Final = "join.json"
LOCK: Final = ".lock"
VALID_DAYS: Final = 5 * 365
CLOCK_DAYS: Final = 1  # by so much another machine's clock may be behind ours
MOST_BYTES: Final = 64 << 10  # a join file has some 2 kB
RENEW: Final = "make new keys with `nst-daemon farm init --renew` on the coordinator"
ANEW: Final = "copy the join file anew from the coordinator: `nst-daemon farm init` says there where it lies"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Join:
    """What a seat needs to join: where its coordinator is, and the certificates; none on loopback."""

    address: str
    ca: str = ""  # PEM
    certificate: str = ""  # PEM
    key: str = field(default="", repr=False)  # PEM

    def security(self) -> "Security | None":
        """Return what Dask takes on the seat's side; None: plain, on this machine alone."""
        if not self.ca:
            return None
        return _security(self.ca, Pair(self.certificate, self.key), "worker", "client")


@dataclass(frozen=True, slots=True)
class _Keys:
    """All keys of a farm, as the coordinator has them: its join file can be written anew at any time."""

    ca: str
    coordinator: Pair
    seat: Pair


@dataclass(frozen=True, slots=True)
class FarmFiles:
    """What `make_farm` has made or found."""

    join: Path
    address: Address
    ends: datetime.datetime  # from then on the certificates are worth nothing
    is_new: bool


# ── made ────────────────────────────────────────────────────────────────────────────────────────────────


def make_farm(state_dir: Path, address: Address, *, renew: bool = False) -> FarmFiles:
    """Make the keys of a farm unless there are some, and write its join file for an address.

    `renew` makes the old ones worthless: those who hold them are turned away.

    Raises:
        ConfigError: the keys that are there cannot be used.
        MissingError, ConditionError: the folder cannot be used, or others may enter it.
    """
    folder = state_dir / FOLDER
    try:
        is_private = disk.make_private(folder)
    except (ConditionError, NameRefusedError) as error:
        raise disk.unusable(error, folder) from error
    if not is_private:
        raise MissingError(
            f"Others may enter {folder}, and would have the keys of the farm.",
            remedy="Set a state_dir in config.yaml on a disk that keeps others out.",
            code="state_dir_open",
        )
    with locks.one_at_a_time(folder / LOCK):  # else one's join file could be of another's keys
        is_new = renew or not disk.is_there(folder / KEYS)
        if is_new:
            _write(folder / KEYS, asdict(new_keys()))
        keys = _keys_of(state_dir)
        join = Join(str(address), keys.ca, keys.seat.certificate, keys.seat.key)
        write_join(folder / JOIN, join)
    return FarmFiles(folder / JOIN, address, _certificate(keys.seat.certificate).not_valid_after_utc, is_new)


def new_keys(*, now: datetime.datetime | None = None) -> _Keys:
    """Return the keys of a new farm, which are worth something from a day ago on."""
    now = now or datetime.datetime.now(datetime.UTC)
    authority = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"nst-daemon farm {x509.random_serial_number():x}"[:40])
    root = _builder(name, name, authority.public_key(), authority, now, is_authority=True)
    ca = root.sign(authority, hashes.SHA256())
    pairs = []
    for role in ("coordinator", "seat"):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(role), name, key.public_key(), authority, now)
        pairs.append(Pair(_pem(builder.sign(authority, hashes.SHA256())), _key_pem(key)))
    return _Keys(_pem(ca), *pairs)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    authority: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    *,
    is_authority: bool = False,
) -> x509.CertificateBuilder:
    """Return a certificate that waits for its signature. In Dask each side is called as well as it calls."""
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=CLOCK_DAYS))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
        )
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(signer, critical=False)
    )
    return builder if is_authority else builder.add_extension(both, critical=False)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def write_join(path: Path, join: Join) -> None:
    """Write a join file that its owner alone reads. Raises: NameRefusedError, ConditionError."""
    _write(path, {"farm": 1, **asdict(join)})


def _write(path: Path, values: dict[str, Any]) -> None:
    """Write a file whole, in a folder that is its owner's alone: so is the file, from its first byte on."""
    with written_whole(path) as file:
        file.write(json.dumps(values, indent=1).encode())


# ── read ────────────────────────────────────────────────────────────────────────────────────────────────


def read_join(path: Path) -> Join:
    """Return what a join file says, if it can be of use.

    Raises:
        ConfigError: it is not there, no join file, open to others, expired, or does not fit together; or it
            would have keys or photos travel in the clear.
        ConditionError: it cannot be read now.
    """
    try:
        values = _values(path)
    except FileNotFoundError:
        raise ConfigError(
            f"There is no join file at {path}.",
            remedy="`nst-daemon farm init` on the coordinator makes one; copy it here (scp).",
            code="farm_file_unfit",
        ) from None
    known = ("address", "ca", "certificate", "key")
    texts = {name: value for name in known if isinstance(value := values.get(name, ""), str)}
    if values.get("farm") != 1 or len(texts) != len(known):
        raise _unfit(path, "is no join file of a farm")
    join = Join(**texts)
    try:
        address = Address.parse(join.address)
    except ValueError as error:
        raise _unfit(path, f"is no join file of a farm: {error}") from error
    if address.scheme is Scheme.TCP:
        _require_loopback(path, address)
        return replace(join, ca="", certificate="", key="")
    if not (join.ca and join.certificate and join.key):
        raise _unfit(path, "lacks a certificate or a key")
    _check(path, join.ca, Pair(join.certificate, join.key), remedy=f"{RENEW}, then {ANEW}")
    return join


def coordinator_security(state_dir: Path) -> "Security":
    """Return what Dask takes on the coordinator's side, for its scheduler and its own client.

    Raises:
        MissingError: there are no keys yet.
        ConfigError: they are open to others, expired, or do not fit together.
        ConditionError: they cannot be read now.
    """
    keys = _keys_of(state_dir)
    return _security(keys.ca, keys.coordinator, "scheduler", "client")


def _keys_of(state_dir: Path) -> _Keys:
    path = state_dir / FOLDER / KEYS
    try:
        values = _values(path)
    except FileNotFoundError:
        raise MissingError(
            "This machine has no keys of a farm yet.",
            remedy="Make them, and the join file: `nst-daemon farm init`.",
            code="farm_not_set_up",
        ) from None
    try:
        keys = _Keys(values["ca"], Pair(**values["coordinator"]), Pair(**values["seat"]))
    except (KeyError, TypeError) as error:
        raise _unfit(path, "does not hold the keys of a farm", RENEW) from error
    for pair in (keys.coordinator, keys.seat):
        _check(path, keys.ca, pair, remedy=RENEW)
    return keys


def _values(path: Path) -> dict[str, Any]:
    """Return what a file of keys says. Raises: FileNotFoundError, ConfigError, ConditionError."""
    if disk.is_folder(path):
        raise _unfit(path, "is a folder, and no file of keys")
    text = disk.read_bytes(path, at_most=MOST_BYTES)
    if not disk.is_private(path):
        raise ConfigError(
            f"{path} is readable by others: whoever holds it may run code on every machine of the farm.",
            remedy=f"Close it: `chmod 600 '{path}'`. If somebody may have read it: {RENEW}.",
            code="farm_file_open",
        )
    with suppress(ValueError, RecursionError):
        values = json.loads(text)
        if isinstance(values, dict):
            return values
    raise _unfit(path, "is no file of a farm's keys")


def _unfit(path: Path, what: str, remedy: str = ANEW) -> ConfigError:
    return ConfigError(f"{path} {what}.", remedy=_sentence(remedy), code="farm_file_unfit")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _require_loopback(path: Path, address: Address) -> None:
    if not address.is_loopback:
        raise ConfigError(
            f"{path}: {address} would have photos travel in the clear, and let anybody run code here.",
            remedy="Plain tcp is for this machine alone (127.0.0.1). Make keys with `nst-daemon farm init` "
            "on the coordinator, and join by the file that it writes.",
            code="farm_plain",
        )


def _check(path: Path, ca: str, pair: Pair, *, remedy: str) -> None:
    """Raise unless a key fits its certificate, that its authority's, and both are worth something now."""
    try:
        root, leaf = _certificate(ca), _certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key.encode(), None)
    except (ValueError, TypeError) as error:  # TypeError: a key behind a password
        raise _unfit(path, "holds a certificate or a key that is none", remedy) from error
    if key.public_key() != leaf.public_key():
        raise _unfit(path, "holds a key that does not fit its certificate", remedy)
    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise _unfit(path, "holds a certificate that is not of its farm", remedy) from error
    now = datetime.datetime.now(datetime.UTC)
    if any(each.not_valid_after_utc < now for each in (root, leaf)):
        raise ConfigError(
            f"{path}: its certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}.",
            remedy=_sentence(remedy),
            code="farm_file_expired",
        )
    if any(each.not_valid_before_utc > now for each in (root, leaf)):
        raise ConfigError(
            f"{path}: its certificate holds from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, and "
            f"here it is {now:%Y-%m-%d %H:%M}.",
            remedy="Set the clock of this machine.",
            code="farm_file_expired",
        )


def _certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _security(ca: str, pair: Pair, *roles: str) -> "Security":
    from distributed.security import Security

    shown = {f"tls_{role}_cert": pair.certificate for role in roles}
    keys = {f"tls_{role}_key": pair.key for role in roles}
    made: Security = Security(True, tls_ca_file=ca, **shown, **keys)  # type: ignore[no-untyped-call]
    return made
