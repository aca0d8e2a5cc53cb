"""`ctrsel list`: every component with what it does."""

from __future__ import annotations


def test_list(ctrsel):
    said = ctrsel("list", "--json", "-q")
    found = {kind: [c["use"] for c in components] for kind, components in said.json.items()}
    assert "mutual_information" in found["rankers"]
    assert {"boosted", "net"} <= set(found["learners"])
    assert {"deepfm", "autoint_plus"} <= set(found["backbones"])
    assert "optfs" in found["gates"]
    assert "gated" in found["selectors"]
    assert found["checks"]
    assert all(c["summary"] for components in said.json.values() for c in components)
    assert "temperature = 1000.0" in ctrsel("list", "gates", "-q").out
    assert ctrsel("list", "gaets", "-q").code == 2
