import functools
import gzip
import http.server
import io
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ctrsel.core.config import DataConfig
from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.data.intake import open_raw
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects

FRAME = pl.DataFrame({"y": [0, 1, 1], "a": ["x", "z", None]})


def opened(uri: str, scratch: Path, *, rejects: Rejects | None = None, **settings: Any) -> RawRows:
    data = DataConfig(train=uri, **settings)
    rejects = rejects or Rejects()
    return open_raw(data, rejects=rejects, scratch=scratch / "scratch", memory=1 << 30, digests=True)


def rows(raw: RawRows) -> list[tuple[object, ...]]:
    return [r for s in raw.shards for r in s.read(raw.columns).rows()]


def parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


@pytest.fixture(scope="module")
def store() -> Iterator[Callable[[str, bytes], None]]:
    """A real S3 server on this machine, and a function that puts an object into its bucket."""
    moto = pytest.importorskip("moto.server", reason="the development library moto is not installed")
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "sesame",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
        }.items():
            patch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=url)
        client.create_bucket(Bucket="clicks")
        yield lambda key, body: client.put_object(Bucket="clicks", Key=key, Body=body)
        client.close()
    server.stop()


Store = Callable[[str, bytes], None]


def test_parquet_and_arrow_in_a_bucket(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store("p/0.parquet", parquet(FRAME))
    store("p/1.parquet", parquet(FRAME.reverse()))
    arrow = io.BytesIO()
    FRAME.write_ipc(arrow)
    store("p/0.arrow", arrow.getvalue())
    assert rows(opened("s3://clicks/p/0.parquet", tmp_path)) == FRAME.rows()
    assert rows(opened("s3://clicks/p/0.arrow", tmp_path)) == FRAME.rows()
    raw = opened("s3://clicks/p/*.parquet", tmp_path)
    assert rows(raw) == [*FRAME.rows(), *FRAME.reverse().rows()]
    assert raw.place(3) == "s3://clicks/p/*.parquet: row 4"
    assert opened("s3://clicks/p/*.parquet", tmp_path).shards[0].digest == raw.shards[0].digest != ""
    assert rows(opened("s3://clicks/p/*.parquet", tmp_path, rows=4)) == [*FRAME.rows(), FRAME.row(2)]
    monkeypatch.setenv("BUCKET", "clicks")
    assert opened("s3://$BUCKET/p/0.parquet", tmp_path).shards[0].name == "s3://$BUCKET/p/0.parquet"


def test_text_in_a_bucket_obeys_the_rules_of_text(store: Store, tmp_path: Path) -> None:
    text = 'a,b\n1,"two\nlines, ""quoted"""\n\n3,\n'
    store("t/0.csv", text.encode())
    store("t/1.csv", b"b,a\n4,5\n")
    store("t/0.csv.gz", gzip.compress(text.encode()))
    store("t/x.ndjson", b'{"a": "1", "b": "x"}\n')
    (tmp_path / "local.csv").write_text(text)
    local = rows(open_raw(tmp_path / "local.csv", rejects=Rejects(), scratch=tmp_path / "l", memory=1 << 30))
    assert local[0] == ("1", 'two\nlines, "quoted"')
    for name in ("0.csv", "0.csv.gz"):
        raw = opened(f"s3://clicks/t/{name}", tmp_path)
        assert rows(raw) == local
        assert all(s.untyped for s in raw.shards)
    raw = opened("s3://clicks/t/*.csv", tmp_path)
    assert rows(raw) == [*local, ("5", "4")]
    assert [s.name for s in raw.shards] == ["s3://clicks/t/0.csv", "s3://clicks/t/1.csv"]
    assert opened("s3://clicks/t/*.csv", tmp_path, rows=1).n_rows == 1
    assert rows(opened("s3://clicks/t/x.ndjson", tmp_path)) == [("1", "x")]


def test_faults_are_told_by_the_uri(store: Store, tmp_path: Path) -> None:
    store("bad.csv", b"a,b\n1,2\n3\n4,5\n")
    store("latin.csv", b"a,b\n1,\xff\n")
    store("empty.csv", b"")
    store("bad.parquet", b"PAR1")
    rejects = Rejects(tolerance=0.5)
    assert opened("s3://clicks/bad.csv", tmp_path, rejects=rejects).n_rows == 2
    assert rejects.frame()["file"].to_list() == ["s3://clicks/bad.csv"]
    for uri, message in {
        "s3://clicks/bad.csv": r"s3://clicks/bad\.csv: line 3 must have the header's 2 cells, got 1",
        "s3://clicks/latin.csv": "cannot be read: invalid utf8",
        "s3://clicks/empty.csv": "the file is empty",
        "s3://clicks/bad.parquet": "cannot be read: ",
        "s3://clicks/none.csv": "no file is found there",
        "s3://clicks/none.parquet": "no file is found there",
        "s3://clicks/none-*.parquet": "no file is found there",
        "s3://clicks/none-*.csv": "no file is found there",
        "s3://no-bucket/x.parquet": "no file is found there",
    }.items():
        with pytest.raises(DataError, match=message) as caught:
            opened(uri, tmp_path)
        assert str(caught.value).startswith(uri)
        assert "\n" not in str(caught.value)
        assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "settings", "message"),
    [
        ("s3://me:sesame@clicks/x.csv", {}, "a URI must hold no password"),
        ("ftp://host/x.csv", {}, "unknown protocol 'ftp'; .*Known: abfs"),
        ("s3://clicks/x", {}, "the ending '' says no format"),
        ("s3://clicks/x.csv", {"encoding": "latin-1"}, r"data\.encoding: remote text must be UTF-8, got 'latin-1'"),
        ("s3://$NO_SUCH_BUCKET/x.csv", {}, "the environment variable NO_SUCH_BUCKET is not set"),
    ],
)
def test_uris_that_are_refused(uri: str, settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        opened(uri, tmp_path, **settings)
    assert isinstance(caught.value, CtrselError)
    assert "sesame" not in str(caught.value)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine that knows ranges of bytes, as object stores do."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            file = Path(self.translate_path(self.path))
            body = file.read_bytes() if file.is_file() else None
            if body is None:
                self.send_error(404)
                return
            wanted = self.headers.get("Range", "")
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            low = int(start or 0)
            high = min(int(end) + 1 if end else len(body), len(body))
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {low}-{high - 1}/{len(body)}")
            self.send_header("Content-Length", str(high - low))
            self.end_headers()
            self.wfile.write(body[low:high])

    folder = tmp_path / "web"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_web_server(web: str, tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "web" / "x.parquet")
    FRAME.write_csv(tmp_path / "web" / "x.csv")
    assert rows(opened(f"{web}/x.parquet", tmp_path)) == FRAME.rows()
    assert rows(opened(f"{web}/x.csv?signature=sesame", tmp_path)) == [("0", "x"), ("1", "z"), ("1", "")]
    with pytest.raises(DataError, match="no file is found there"):
        opened(f"{web}/none.csv", tmp_path)


def test_a_delta_table_in_a_bucket(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("deltalake", reason="the extra 'delta' is not installed")
    for _ in range(2):
        FRAME.write_delta("s3://clicks/table", mode="append", storage_options={"conditional_put": "etag"})
    raw = opened("s3://clicks/table", tmp_path, format="delta")
    assert rows(raw) == FRAME.rows() * 2
    assert raw.shards[0].name == "s3://clicks/table (version 1)"
    with pytest.raises(DataError, match="s3://clicks/none: cannot be read as a Delta table"):
        opened("s3://clicks/none", tmp_path, format="delta")
