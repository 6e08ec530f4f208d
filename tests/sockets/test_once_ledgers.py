"""The ledgers of keys, each in its own store: what they keep, and what they do if the store fails."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from featherhq import ConfigurationError, InvalidArgumentError, LedgerError, RedisLedger, SQLiteLedger
from featherhq._settings import Settings
from featherhq.ledgers import Intent
from once_helpers import maker, redis_server
from once_workers import MemoryLedger
from test_forks import in_child

ONE, OTHER, ELSEWHERE = Intent("one", "t", "yes"), Intent("other", "t", "yes"), Intent("third", "u", "yes")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["memory", "sqlite", "redis"])
def made(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> Callable[..., Any]:
    if request.param == "memory":
        return lambda: MemoryLedger(time.time)
    return maker(request.param, server, tmp_path)


def test_an_attempt_is_noted_only_after_the_last_one(made: Callable[..., Any]) -> None:
    """A ledger notes an attempt if its caller knows the last one. Otherwise it changes nothing."""
    ledger = made()
    assert ledger.begin(ONE, None, None, 0.0) is None
    assert ledger.begin(ONE, "a", "unknown", 10.0) is None
    entry = ledger.begin(ONE, "a", None, 10.0)
    assert (entry.thread_id, entry.text_hash, entry.attempt, entry.receipt) == ("t", "yes", "a", None)
    assert entry.lease == pytest.approx(10.0, abs=1)
    for after in (None, "unknown"):
        assert ledger.begin(ONE, "b", after, 99.0).attempt == "a"
    entry = ledger.begin(ONE, "b", "a", 20.0)
    assert (entry.attempt, entry.age) == ("b", pytest.approx(0.0, abs=1))
    assert entry.lease == pytest.approx(20.0, abs=1)
    assert ledger.begin(ONE, None, None, 0.0).attempt == "b"


def test_the_first_receipt_counts(made: Callable[..., Any]) -> None:
    """A key has one receipt for ever. No attempt is noted after it."""
    ledger = made()
    ledger.begin(ONE, "a", None, 10.0)
    assert ledger.done(ONE, "a", "m1", "first") == "first"
    assert ledger.done(ONE, None, "m2", "second") == "first"
    assert ledger.done(ONE, "a", None, "") == "first"
    entry = ledger.begin(ONE, "b", "a", 10.0)
    assert (entry.attempt, entry.receipt) == ("a", "first")


def test_an_attempt_that_has_failed_leaves_no_entry(made: Callable[..., Any]) -> None:
    """The last attempt of a key may be taken back, and then the key is as new. An earlier attempt may not."""
    ledger = made()
    ledger.begin(ONE, "a", None, 10.0)
    ledger.begin(ONE, "b", "a", 10.0)
    assert ledger.done(ONE, "a", None, "") is None
    assert ledger.begin(ONE, None, None, 0.0).attempt == "b"
    assert ledger.done(ONE, "b", None, "") is None
    assert ledger.begin(ONE, None, None, 0.0) is None
    assert ledger.done(ELSEWHERE, "a", None, "") is None
    assert not ledger.claimed(OTHER).open


def test_a_message_belongs_to_one_key(made: Callable[..., Any]) -> None:
    """A message that was found cannot be given to two keys of a thread. What the server has told in time counts."""
    ledger = made()
    ledger.begin(ONE, "a", None, 10.0)
    ledger.begin(OTHER, "b", None, 10.0)
    assert ledger.done(OTHER, None, "m1", "found") == "found"
    assert ledger.done(ONE, None, "m1", "found too") is None
    assert ledger.done(ONE, "zombie", "m1", "told") is None
    assert ledger.done(ONE, "a", "m1", "told") == "told"
    assert ledger.done(ELSEWHERE, None, "m1", "of another thread") == "of another thread"


def test_a_late_answer_counts_as_found(made: Callable[..., Any]) -> None:
    """When the lease of an attempt is over, its response gives it no message that another key has."""
    ledger = made()
    ledger.begin(ONE, "a", None, -1.0)
    ledger.done(OTHER, None, "m1", "found")
    assert ledger.done(ONE, "a", "m1", "told") is None


def test_what_other_keys_have(made: Callable[..., Any]) -> None:
    """A ledger tells the messages of the other keys of a thread, and whether one with this text may be under way."""
    ledger = made()
    assert (dict(ledger.claimed(ONE).ids), ledger.claimed(ONE).open, ledger.claimed(ONE).busy) == ({}, frozenset(), 0)
    ledger.begin(ONE, "a", None, 10.0)
    ledger.begin(ELSEWHERE, "a", None, 50.0)
    ledger.begin(Intent("fourth", "t", "no"), "a", None, 50.0)
    claims = ledger.claimed(OTHER)
    assert (dict(claims.ids), claims.open) == ({}, {"yes", "no"})
    assert claims.busy == pytest.approx(10.0, abs=1)
    ledger.begin(ONE, "b", "a", -1.0)
    assert ledger.claimed(OTHER).busy == 0
    ledger.done(ONE, "b", "m1", "told")
    claims = ledger.claimed(OTHER)
    assert (list(claims.ids), claims.open) == (["m1"], {"no"})
    assert claims.ids["m1"] == pytest.approx(0.0, abs=1)
    assert not ledger.claimed(ONE).ids


def test_threads_begin_one_attempt(made: Callable[..., Any]) -> None:
    """Of twenty threads that begin at once, one may send. All threads see the same attempt."""
    ledger, barrier = made(), threading.Barrier(20)

    def begin(number: int) -> str:
        barrier.wait()
        return str(ledger.begin(ONE, str(number), None, 10.0).attempt)

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(begin, range(20)))) == 1


@pytest.mark.parametrize("name", ["sqlite", "redis"])
def test_an_entry_outlives_its_process_and_expires(name: str, server: str, tmp_path: Path) -> None:
    """Another ledger on the same store knows the entry, until it expires."""
    make = maker(name, server, tmp_path)
    make().begin(ONE, "a", None, 10.0)
    assert make().begin(ONE, None, None, 0.0).attempt == "a"
    brief = make(expires=0.1)
    brief.begin(ELSEWHERE, "a", None, -10.0)
    brief.begin(Intent("fifth", "u", "no"), "a", None, -10.0)
    until = time.monotonic() + 5
    while (brief.claimed(ELSEWHERE).open or brief.begin(ELSEWHERE, None, None, 0.0)) and time.monotonic() < until:
        threading.Event().wait(0.05)
    assert brief.begin(ELSEWHERE, "b", None, 10.0).attempt == "b"
    assert not brief.claimed(ELSEWHERE).open


def test_a_redis_ledger_forgets_what_has_expired_in_a_busy_thread(server: str, tmp_path: Path) -> None:
    """The lists of a thread live as long as it is used. What has expired in them is removed."""
    brief = maker("redis", server, tmp_path)(expires=0.5)
    brief.begin(ONE, "a", None, -10.0)
    assert not brief.claimed(OTHER).open


def test_a_client_that_decodes_responses(server: str) -> None:
    """A `redis.Redis` of the caller is used as it is, also if it decodes responses. It is not closed."""
    with redis.Redis.from_url(server, decode_responses=True) as client:
        ledger = RedisLedger(client, name="decoded")
        ledger.begin(ONE, "a", None, 10.0)
        assert ledger.done(ONE, "a", "m1", "told") == "told"
        assert list(ledger.claimed(OTHER).ids) == ["m1"]
        assert client.ping()
    assert "decoded" in repr(ledger)


def test_redis_is_gone(dead_url: str) -> None:
    """A Redis that cannot be reached is a `LedgerError`. No error shows the password."""
    url = dead_url.replace("http://", "redis://:s3cret@")
    ledger = RedisLedger(url)
    with pytest.raises(LedgerError, match="Redis: ConnectionError: ") as caught:
        ledger.begin(ONE, None, None, 0.0)
    assert "s3cret" not in f"{caught.value!r}{caught.value.__notes__}{ledger!r}"
    assert caught.value.__cause__ is None


def test_redis_refuses_a_command(server: str) -> None:
    """The text of an error of Redis is not shown, because it may repeat the command."""
    with redis.Redis.from_url(server) as client:
        client.set("{odd}:key:one", "no hash")
        with pytest.raises(LedgerError) as caught:
            RedisLedger(client, name="odd").begin(ONE, None, None, 0.0)
    assert str(caught.value) == "Redis: ResponseError"


def test_what_a_redis_ledger_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another object, an invalid URL and a missing package are told with what to do."""
    with pytest.raises(InvalidArgumentError, match=r"got a redis\.asyncio\.client\.Redis") as refused:
        RedisLedger(redis.asyncio.Redis())  # type: ignore[arg-type]
    assert "or a redis.Redis" in refused.value.__notes__[0]
    with pytest.raises(ConfigurationError, match="this one is invalid") as invalid:
        RedisLedger("http://:s3cret@host")
    assert "s3cret" not in f"{invalid.value!r}{invalid.value.__notes__}"
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError) as missing:
        RedisLedger("redis://host")
    assert "pip install 'featherhq[redis]'" in missing.value.__notes__[0]


@pytest.mark.parametrize("path", ["", ":memory:", None, 5])
def test_a_ledger_needs_a_file(path: Any) -> None:
    """A ledger in memory would not outlive its process, so it is refused."""
    with pytest.raises(InvalidArgumentError, match="path: expected the path of a file"):
        SQLiteLedger(path)


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    """A file that is no database, or cannot be made, is an error when the ledger is made."""
    (tmp_path / "text").write_text("no database, but a text that is long enough to look like a damaged one")
    for path in (tmp_path / "text", tmp_path / "missing" / "ledger.db"):
        with pytest.raises(ConfigurationError, match="SQLite"):
            SQLiteLedger(path)


def test_a_file_that_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of another program is waited for, but not for ever. Then it is a `LedgerError`."""
    monkeypatch.setattr("featherhq._sqlite._PATIENCE", 0.05)
    monkeypatch.setattr("featherhq._sqlite._OPENING", 0.2)
    ledger = SQLiteLedger(tmp_path / "ledger.db")
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as locking:
        locking.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="SQLite: database is locked") as caught:
            ledger.begin(ONE, "a", None, 10.0)
        assert str(tmp_path) in caught.value.__notes__[0]
        locking.execute("ROLLBACK")
    locking.close()
    # The mode of the journal of this one has to be changed, which needs the lock.
    with sqlite3.connect(tmp_path / "new.db", isolation_level=None) as locking:
        locking.execute("CREATE TABLE other (one)")
        locking.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match="locked"):
            SQLiteLedger(tmp_path / "new.db")
    locking.close()
    assert ledger.begin(ONE, "a", None, 10.0).attempt == "a"  # type: ignore[union-attr]


def test_a_step_that_fails_is_undone(tmp_path: Path) -> None:
    """If SQLite refuses a statement, nothing of the step is kept, and the ledger works on."""
    ledger = SQLiteLedger(tmp_path / "ledger.db")
    with pytest.raises(LedgerError, match="SQLite"):
        ledger.done(ONE, "a", "m1", object())  # type: ignore[arg-type]
    assert ledger.begin(ONE, "a", None, 10.0) is not None
    ledger.close()


def test_a_closed_ledger_opens_again(tmp_path: Path) -> None:
    """`close()` closes the file. A later call opens it again."""
    ledger = SQLiteLedger(tmp_path / "ledger.db")
    ledger.close()
    ledger.close()
    assert ledger.begin(ONE, "a", None, 10.0) is not None
    assert "ledger.db" in repr(ledger)
    ledger.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["sqlite", "redis"])
def test_a_ledger_may_be_made_before_a_fork(name: str, server: str, tmp_path: Path) -> None:
    """Parent and child use the same ledger, each on a connection of its own, while other threads use it too."""
    ledger = maker(name, server, tmp_path)()
    ledger.begin(ONE, "a", None, 10.0)
    stop = threading.Event()

    def begin(intent: Intent) -> str:
        return str(ledger.begin(intent, "child", None, 10.0).attempt)

    def use() -> None:
        while not stop.is_set():
            ledger.begin(ONE, None, None, 0.0)

    busy = threading.Thread(target=use)
    busy.start()
    try:
        for number in range(3):
            intent = Intent(str(number), "t", "yes")
            assert in_child(partial(begin, intent)) == "child"
            assert ledger.begin(intent, "parent", None, 10.0).attempt == "child"
    finally:
        stop.set()
        busy.join()


def test_ledgers_are_imported_late() -> None:
    """The package, a client and a call without a key import neither sqlite3 nor redis."""
    code = (
        "import sys; before = set(sys.modules); import featherhq; from featherhq import Feather; f = Feather('key'); "
        "from featherhq._threads.send import send; next(send(f._settings, 'x', 'hello', f._settings.deadline(None))); "
        "featherhq.SQLiteLedger; featherhq.RedisLedger; assert not {'sqlite3', 'redis'} & (set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("ledger", [5, object(), SQLiteLedger])
def test_a_client_needs_a_whole_ledger(ledger: Any) -> None:
    """An object without the three methods, and the class itself, are refused when the client is made."""
    with pytest.raises(InvalidArgumentError, match="ledger: expected a ledger such as SQLiteLedger"):
        Settings.read("k", base_url=None, timeout=1, max_retries=0, rate_limit=None, headers=None, ledger=ledger)
