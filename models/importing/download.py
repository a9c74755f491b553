"""The command `download`: fetches one file, or lists a Zenodo record, and records size and SHA-256 next to the file.

python -m models download oBSRNN-SIMO --file simo-bsrnn-opt.zip --out weights
python -m models download https://example.org/vocals.pt --out weights
"""

import argparse
import http.client
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from models.importing.catalog import find_entry
from models.running import atomic
from models.running.hashes import sha256

SCHEMES = ("https", "http")
RECORD = "downloads.json"
"""Written into the folder: address, size and SHA-256 of each file that was fetched."""
BLOCK = 1 << 20
TIMEOUT_S = 60.0
LARGEST_LISTING = 1 << 22
ATTEMPTS = 5
"""Attempts at a transfer that is cut off; each resumes where the last one stopped."""
ZENODO = re.compile(r"(?P<site>https?://[^/]+)/records/(?P<number>\d+)/?")


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.

    Attributes:
        url: its address.
        name: its name on this machine.
        size: bytes, None if unknown.
    """

    url: str
    name: str
    size: int | None = None


def run(args: argparse.Namespace) -> int:
    """Fetch a file, or list the files of a record if ``--file`` is absent."""
    url = _address(args.source)
    if not (record := ZENODO.fullmatch(url)):
        if args.file:
            raise ValueError(f"--file: for records only, and {url} is one file")
        _fetch_and_print(RemoteFile(url, _name(url)), args.out)
        return 0
    files = list(_files_of_record(f"{record['site']}/api/records/{record['number']}"))
    if not args.file:
        for file in files:
            size = "" if file.size is None else f"  {file.size / 1e6:.1f} MB"
            print(f"{file.name}{size}")
        print(f"choose one: --file NAME ({len(files)} files at {url})")
        return 0
    chosen = next((file for file in files if file.name == _name(args.file)), None)
    if chosen is None:
        names = ", ".join(file.name for file in files)[:300]
        raise ValueError(f"--file: {url} has no {args.file!r}; expected one of {names}")
    _fetch_and_print(chosen, args.out)
    return 0


def fetch(file: RemoteFile, folder: Path) -> str:
    """Fetch a file into a folder and resume an earlier call that was cut off; returns its SHA-256.

    Raises:
        ValueError: the address or a redirect is not http or https; the file has another size than announced; or it
            differs from the file that was fetched before.
        OSError: the connection failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = read_record(folder).get(file.name)
    target, part = folder / file.name, folder / f"{file.name}.part"
    for attempt in range(ATTEMPTS):
        try:
            size = _transfer(file, part)
            break
        except (http.client.IncompleteRead, ConnectionError, TimeoutError) as error:
            if attempt == ATTEMPTS - 1:
                raise OSError(f"{file.url}: cut off {ATTEMPTS} times ({error}); the same command resumes it") from None
    if file.size is not None and size != file.size:
        part.unlink()
        raise ValueError(f"{file.url}: expected {file.size} bytes as its record says, got {size}")
    digest = sha256(part)
    if known is not None and known.get("sha256") != digest:
        part.unlink()
        raise ValueError(
            f"{file.url}: it differs from what was fetched before (SHA-256 {str(known.get('sha256'))[:16]}, "
            f"now {digest[:16]}); use another --out folder if you trust the new one"
        )
    part.replace(target)
    address = file.url.partition("?")[0]  # the query may hold a password
    record = read_record(folder) | {file.name: {"url": address, "bytes": size, "sha256": digest}}
    atomic.write_json(folder / RECORD, record)
    return digest


def _fetch_and_print(file: RemoteFile, folder: Path) -> None:
    digest = fetch(file, folder)
    path = folder / file.name
    print(f"{path}: {path.stat().st_size} bytes, SHA-256 {digest}, kept in {folder / RECORD}")


def _address(source: str) -> str:
    """The address of a source: itself if it is one, else that of the catalog's entry.

    Raises:
        ValueError: neither an address nor in the catalog, or weights that only a browser can fetch.
    """
    if "://" in source:
        _check_scheme(source)
        return source
    entry = find_entry(source)
    if entry is None:
        raise ValueError(f"expected an address (https://...) or a name of `python -m models catalog`, got {source!r}")
    if len(entry.where) != 1 or not ZENODO.fullmatch(entry.where[0]):
        raise ValueError(f"{entry.name}: download it in a browser from {', '.join(entry.where)}: {entry.how}")
    return entry.where[0]


def _name(url: str) -> str:
    """The name of a fetched file: the last part of its address.

    Raises:
        ValueError: the address does not end in a usable file name.
    """
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
    if not re.fullmatch(r"[\w+=@-][\w .+=@-]{0,200}", name) or name == RECORD:
        raise ValueError(f"{url[:200]}: expected an address that ends in a file name")
    return name


def _files_of_record(api: str) -> Iterator[RemoteFile]:
    """The files of a Zenodo record.

    Raises:
        ValueError: the answer is not a record's listing.
    """
    with _open(api) as answer:
        text = answer.read(LARGEST_LISTING)
    try:
        for file in json.loads(text)["files"]:
            url, size = str(file["links"]["self"]), file["size"]
            _check_scheme(url)
            yield RemoteFile(url, _name(str(file["key"])), int(size))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{api}: expected the listing of a record ({type(error).__name__}: {error})") from None


def _transfer(file: RemoteFile, part: Path) -> int:
    """Fetch the missing part of a file; returns the file's size.

    Raises:
        ValueError: the answer is longer than announced.
        http.client.IncompleteRead, ConnectionError, TimeoutError: it was cut off; the part received is kept.
        OSError: the server refuses.
    """
    from tqdm import tqdm

    have = part.stat().st_size if part.exists() else 0
    with _open(file.url, have) as answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT
        have = have if resumed else 0
        length = answer.getheader("Content-Length")
        total = have + int(length) if length and length.isdecimal() else None
        if resumed and not str(answer.getheader("Content-Range")).startswith(f"bytes {have}-"):
            part.unlink()
            raise ConnectionError("the server sent another part than requested")
        with (
            part.open("ab" if resumed else "wb") as content,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=file.name, file=sys.stderr) as bar,
        ):
            limit = file.size if file.size is not None else total
            for block in _blocks(answer):
                have += len(block)
                if limit is not None and have > limit:
                    raise ValueError(f"{file.url}: longer than the announced {limit} bytes")
                content.write(block)
                bar.update(len(block))
    if total is not None and have != total:
        raise ConnectionError(f"received {have} of {total} bytes")
    return have


def _blocks(answer: IO[bytes]) -> Iterator[bytes]:
    while block := answer.read(BLOCK):
        yield block


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and never from https to http."""

    def redirect_request(
        self, request: urllib.request.Request, file: IO[bytes], code: int, message: str, headers: Any, url: str
    ) -> urllib.request.Request | None:
        _check_scheme(url)
        if request.type == "https" and not url.startswith("https:"):
            raise ValueError(f"{request.full_url}: expected a redirect to https, got {url[:100]} (not encrypted)")
        return super().redirect_request(request, file, code, message, headers, url)


def _open(url: str, start: int = 0) -> http.client.HTTPResponse:
    _check_scheme(url)
    headers = {"User-Agent": "bandsplit", "Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    opener = urllib.request.build_opener(_CheckedRedirects)
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return opener.open(urllib.request.Request(url, headers={"User-Agent": "bandsplit"}), timeout=TIMEOUT_S)
        raise OSError(f"{url}: the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise OSError(f"{url}: {error.reason}") from None


def _check_scheme(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme.lower() not in SCHEMES:
        raise ValueError(f"{url[:100]}: expected an address of {' or '.join(SCHEMES)}")


def read_record(folder: Path) -> dict[str, Any]:
    """Address, size and SHA-256 of each file fetched into a folder, by name; empty if there is no record.

    Raises:
        ValueError: the record is damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{folder / RECORD}: damaged ({error}); remove it to start again") from None
    return record if isinstance(record, dict) else {}
