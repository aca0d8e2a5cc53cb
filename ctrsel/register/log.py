"""The promotion log: one MLflow run an entry, written before an alias moves and closed after it.

What is written down is what happens: an entry that a killed process left open is carried out by the next process, or
struck out where its version was never finished (write-ahead logging; Gray and Reuter, "Transaction processing", 1993,
chapter 9). Entries are never changed otherwise. An alias that somebody moved in MLflow's own page is found and noted.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ctrsel.core.artifact import to_json
from ctrsel.core.errors import UnreachableError
from ctrsel.register.lock import held
from ctrsel.register.reaching import absent
from ctrsel.register.store import Store

__all__ = ["CHALLENGER", "CHAMPION", "DECIDED", "PromotionLog", "holder", "now", "promotions"]

CHALLENGER = "challenger"  # the newest version
CHAMPION = "champion"  # the version that is served
DECIDED = "promotion"  # the tag with a version's first entry: a version without it is what a killed process left

_ENTRY, _SEQUENCE, _HOST = "promotion.entry", "promotion.number", "promotion.host"
_LONGEST = 7500  # characters of an entry; MLflow keeps 8,000 of a tag
_STALE = 900.0  # seconds after which an open entry of another machine is taken to be left behind


def now() -> str:
    """Return the time, to be written down."""
    import datetime

    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def holder(client: Any, name: str, alias: str) -> int | None:
    """Return the version that holds an alias, None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return int(client.get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if not absent(error):
            raise
        return None


@contextlib.contextmanager
def promotions(store: Store, client: Any, name: str) -> Iterator[PromotionLog]:
    """Open a model's log alone, with what a killed process left open carried out or struck out.

    Raises:
        UnreachableError: If another process or machine is at work for too long.
    """
    with held(store):
        log = PromotionLog(store=store, client=client, name=name)
        log.settle()
        yield log


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionLog:
    """The log of one registered model; to be written to inside `promotions` only."""

    store: Store
    client: Any
    name: str

    @property
    def title(self) -> str:
        """Name of the experiment that holds it."""
        return f"{self.name}: promotions"[:500]

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries, oldest first."""
        return [_entry(run) for run in self._runs() if run.info.status == "FINISHED"]

    def begin(self, entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Write an entry down before it is carried out, in one call; return its id, and the entry with its number."""
        runs = self._runs()
        number = 1 + max((_number(r) for r in runs), default=0)
        entry = {"number": number, **entry}
        shown = {k: str(entry[k]) for k in ("decision", "candidate", "from", "to", "who", "when")}
        tags: dict[str, str] = {
            _ENTRY: _fitting(entry),
            _SEQUENCE: str(number),
            _HOST: socket.gethostname(),
            "why": "; ".join(entry["why"])[:1000],
            "mlflow.user": entry["who"],
            "mlflow.source.name": "ctrsel",
            **shown,
        }
        title = f"{number:04d} {entry['decision']} version {entry['candidate']}"
        experiment = self.store.experiment(self.client, self.title)
        made = str(self.client.create_run(experiment, tags=tags, run_name=title).info.run_id)
        if any(r.info.run_id != made and self._foreign(r) for r in self._open()):
            # Both machines see each other, and both step back, since clocks cannot tell who was first.
            self.abandon(made)
            raise UnreachableError(f"register: another machine is changing {self.name!r} just now")
        return made, entry

    def finish(self, entry_id: str) -> None:
        """Close an entry that was carried out."""
        self.client.set_terminated(entry_id, status="FINISHED")

    def abandon(self, entry_id: str) -> None:
        """Strike an entry out that was not carried out."""
        self.client.set_terminated(entry_id, status="KILLED")

    def carry_out(self, entry: dict[str, Any]) -> None:
        """Move the aliases as an entry says; doing it twice does no harm."""
        if entry["decision"] in ("promoted", "refused") and not entry.get("late"):
            self.client.set_registered_model_alias(self.name, CHALLENGER, str(entry["candidate"]))
        if entry["to"] is not None and holder(self.client, self.name, CHAMPION) != entry["to"]:
            self.client.set_registered_model_alias(self.name, CHAMPION, str(entry["to"]))
        if entry["decision"] in ("promote", "rollback"):
            words = f"{entry['decision']} by {entry['who']}, {entry['when']}: {'; '.join(entry['why'])}"
            self.client.set_model_version_tag(self.name, str(entry["to"]), "moved", words[:1000])

    def settle(self) -> None:
        """Carry out or strike out what was left open; note an alias that was moved by other means.

        Raises:
            UnreachableError: If another machine is at work.
        """
        for run in self._open():
            if self._foreign(run):
                raise UnreachableError(f"register: another machine is changing {self.name!r} just now")
            entry = _entry(run)
            if self._binding(entry):
                self.carry_out(entry)
                self.finish(run.info.run_id)
            else:
                self._remove_unfinished(entry)
                self.abandon(run.info.run_id)
        done = self.entries()
        present = holder(self.client, self.name, CHAMPION)
        if done and done[-1]["to"] != present:
            found = {
                "when": now(),
                "who": "unknown",
                "decision": "moved elsewhere",
                "candidate": present,
                "from": done[-1]["to"],
                "to": present,
                "why": ["the alias was moved or removed by other means than ctrsel, at some time before this"],
            }
            self.finish(self.begin(found)[0])

    def _binding(self, entry: dict[str, Any]) -> bool:
        """Whether an open entry is to be carried out: its version is whole, and the champion is where it was left."""
        version = self._version(entry["candidate"])
        if entry["decision"] == "moved elsewhere":
            return False
        if version is None or DECIDED not in version.tags:
            return False
        return holder(self.client, self.name, CHAMPION) in (entry["from"], entry["to"])

    def _remove_unfinished(self, entry: dict[str, Any]) -> None:
        version = self._version(entry["candidate"])
        unfinished = version is not None and DECIDED not in version.tags
        if unfinished and entry["decision"] in ("promoted", "refused"):
            self.client.delete_model_version(self.name, str(entry["candidate"]))

    def _version(self, number: int | None) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return None if number is None else self.client.get_model_version(self.name, str(number))
        except MlflowException as error:
            if not absent(error):
                raise
            return None

    def _open(self) -> list[Any]:
        return [run for run in self._runs() if run.info.status == "RUNNING"]

    def _foreign(self, run: Any) -> bool:
        age: float = time.time() - run.info.start_time / 1000
        return age < _STALE and bool(run.data.tags.get(_HOST) != socket.gethostname())

    def _runs(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name(self.title)
        if experiment is None:
            return []
        found: list[Any] = []
        token = None
        while True:
            page = self.client.search_runs([experiment.experiment_id], max_results=1000, page_token=token)
            found += [r for r in page if _ENTRY in r.data.tags]
            token = page.token
            if not token:
                return sorted(found, key=_number)


def _number(run: Any) -> int:
    return int(run.data.tags[_SEQUENCE])


def _entry(run: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.data.tags[_ENTRY])
    return found


def _fitting(entry: dict[str, Any]) -> str:
    """Write an entry as JSON that MLflow keeps whole; of many long reasons the last are left out."""
    text = to_json(entry)
    if len(text) <= _LONGEST:
        return text
    why = [w[:500] for w in entry["why"]]
    while why and len(to_json({**entry, "why": [*why, "..."]})) > _LONGEST:
        why.pop()
    return to_json({**entry, "why": [*why, "..."]})
