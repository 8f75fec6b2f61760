"""What an agent fetches of a release: bundles from a real (emulated) bucket, checked before anybody reads them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from emulator import ACCOUNT, Emulator

from factory_cdk.agent.aws import Aws
from factory_cdk.agent.fetching import fetch_archive
from factory_cdk.bundle import Bundle
from factory_cdk.diagnostics import FactoryError
from factory_cdk.install.bundles import lay_out

REGION = "eu-west-2"
BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"


def zipped(*names: str) -> bytes:
    """A zip of files of these names; that of `bin/tool` has a run bit."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            item = zipfile.ZipInfo(name)
            item.external_attr = (0o100755 if name == "bin/tool" else 0o100644) << 16
            archive.writestr(item, name.encode())
    return content.getvalue()


def put(region: Emulator, content: bytes) -> tuple[str, str]:
    """Put an object into the bucket of assets; its key and SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    region.client("s3", REGION).put_object(Bucket=BUCKET, Key=f"{sha256}.zip", Body=content)
    return f"{sha256}.zip", sha256


@pytest.fixture
def asked(region: Emulator, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """What an agent asks, answered by the emulator."""
    for name, value in region.environment.items():
        monkeypatch.setenv(name, value)
    return Aws(REGION)


def installed(aws: Aws, key: str, sha256: str, folder: Path) -> Path:
    """The folder with the bundle at `key`, as an agent fetches it and lays it out."""
    archive = fetch_archive(aws, BUCKET, key, sha256, folder / "archives")
    return lay_out(folder, Bundle("bot", "d" * 64, True, "path", "", archive=str(archive), archive_sha256=sha256))


def test_a_bundle_is_fetched_once_verified_and_laid_out(region: Emulator, asked: Aws, tmp_path: Path) -> None:
    key, sha256 = put(region, zipped("bots.py", "bin/tool"))
    tree = installed(asked, key, sha256, tmp_path)
    assert (tree / "bots.py").read_bytes() == b"bots.py"
    assert (tree / "bin/tool").stat().st_mode & 0o111 and not (tree / "bots.py").stat().st_mode & 0o111
    region.client("s3", REGION).delete_object(Bucket=BUCKET, Key=key)
    assert installed(asked, key, sha256, tmp_path) == tree


@pytest.mark.parametrize(
    ("names", "why"),
    [(("../../escaped",), "leaves the folder"), (("/tmp/factory-cdk-escaped",), "leaves the folder")],
)
def test_a_bundle_that_leaves_its_folder_is_refused(
    region: Emulator, asked: Aws, tmp_path: Path, names: tuple[str, ...], why: str
) -> None:
    with pytest.raises(FactoryError, match=why):
        installed(asked, *put(region, zipped(*names)), tmp_path / "in" / "side")
    assert not list(tmp_path.rglob("escaped*")) and not Path("/tmp/factory-cdk-escaped").exists()
    assert not [path for path in (tmp_path / "in/side/bundles").iterdir() if not path.name.endswith((".lock", ".new"))]


def test_a_bundle_of_another_content_is_refused_with_both_hashes(region: Emulator, asked: Aws, tmp_path: Path) -> None:
    key, sha256 = put(region, zipped("bots.py"))
    with pytest.raises(FactoryError) as refused:
        installed(asked, key, "0" * 64, tmp_path)
    assert sha256 in str(refused.value) and "0" * 64 in str(refused.value)
    assert list((tmp_path / "archives").iterdir()) == []


def test_a_bundle_that_is_not_there_is_named(asked: Aws, region: Emulator, tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match=f"s3://{BUCKET}/no.zip: 404"):
        installed(asked, "no.zip", "0" * 64, tmp_path)


def test_a_digest_that_is_a_path_names_no_file(asked: Aws, tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match="is not a SHA-256"):
        installed(asked, "no.zip", "../../x", tmp_path)
