"""deploy/prometheus and deploy/grafana, in a real Prometheus that watches a live server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import yaml

from app.xray.contract import ModelContract
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from benchmarks.rig.dicom_peers import Archive, draw_film, send
from tests.app.fakes import fake_app
from tests.live import ROOT, live, port_of
from tests.networks import tiny_gate, write_tiny_checkpoint
from tests.tools import find_tool
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = ROOT / "deploy/prometheus"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
QUERIES = [
    pytest.param(target["expr"], id=re.sub(r"\W+", "-", f"{panel['title']}-{target['refId']}"))
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
OF_SPEED = {"CxrSlow", "CxrPacsSlow"}
"""Alerts that a machine which is busy with other tests may well raise."""
RULE_TESTS = sorted(RULES.glob("*_test.yml"))
SCRAPE_S = 1
JOBS = ("cxr-inference", "cxr-pacs")
KEY = "one-key"


def test_prometheus_own_tool_accepts_rules_and_configuration() -> None:
    tool = find_tool("promtool")
    subprocess.run([tool, "check", "config", RULES / "prometheus.yml"], check=True)
    subprocess.run([tool, "test", "rules", *RULE_TESTS], check=True)


def test_every_alert_has_a_test_that_fires_and_one_that_does_not() -> None:
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule}
    tests = [test for file in RULE_TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for expected in (True, False):
        assert alerts == {
            case["alertname"] for case in cases if bool(case["exp_alerts"]) is expected
        }


def test_every_alert_leads_to_its_runbook() -> None:
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"]: rule for group in rules for rule in group["rules"] if "alert" in rule}
    sections = re.split("^## ", (ROOT / "docs/runbooks.md").read_text(), flags=re.MULTILINE)[1:]
    written = {section.split("\n", 1)[0]: section for section in sections}
    assert set(written) == set(alerts)
    for name, section in written.items():
        link = f"docs/runbooks.md#{name.lower()}"
        assert alerts[name]["annotations"]["runbook_url"] == link
        assert re.findall(r"^\*\*(\w+)\.\*\*", section, re.MULTILINE) == ["Means", "Look", "Do"]


def test_every_panel_that_a_runbook_names_is_there() -> None:
    named = re.findall('"([^"]+)"', (ROOT / "docs/runbooks.md").read_text())
    assert set(named) <= {panel["title"] for panel in DASHBOARD["panels"]}


def test_alerts_reach_the_alertmanager_which_has_the_receivers_that_it_names() -> None:
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    (found,) = config["alerting"]["alertmanagers"]
    manager = yaml.safe_load((RULES / "alertmanager.yml").read_text())
    assert found["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    receivers = {receiver["name"] for receiver in manager["receivers"]}
    routes = [manager["route"], *manager["route"].get("routes", [])]
    assert {route["receiver"] for route in routes} <= receivers


def test_every_query_asks_for_the_figures_of_one_job_alone() -> None:
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    asked = [rule["expr"] for group in rules for rule in group["rules"]]
    for query in [*asked, *(param.values[0] for param in QUERIES)]:
        for name, selector in re.findall(r"\b((?:cxr_|process_|up\b)\w*)(\{[^}]*\}?)?", str(query)):
            (job,) = re.findall('job="([^"]+)"', selector)
            assert job in JOBS, query
            assert name.startswith("cxr_pacs_") <= (job == "cxr-pacs"), query
            assert name.startswith(("cxr_pacs_", "up")) or job == "cxr-inference", query


def test_every_route_that_takes_an_upload_is_watched_for_slowness_but_batches() -> None:
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    (slow,) = (
        rule["expr"] for group in rules for rule in group["rules"] if rule.get("alert") == "CxrSlow"
    )
    (watched,) = re.findall(r'route=~"([^"]+)"', slow)
    paths = fake_app().openapi()["paths"]
    taking = {path for path, methods in paths.items() if "post" in methods}
    assert taking - {path for path in taking if re.fullmatch(watched, path)} == {"/predict/batch"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    contract = ModelContract.recipe_of_2022().model_copy(update={"ood": tiny_gate(threshold=1e6)})
    path = write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "gated.h5", contract)
    with live(path, drain_s="0", api_keys=f"prometheus:{KEY}") as (client, _):
        client.headers["X-API-Key"] = KEY
        yield client


@pytest.fixture(scope="module")
def node(server: httpx.Client) -> Iterator[Node]:
    """A DICOM node in front of the server, with an archive behind it."""
    archive = Archive()
    archive.start()
    settings = {
        "CXR_PACS_PORT": "0",
        "CXR_PACS_HEALTH_PORT": "0",
        "CXR_PACS_DESTINATION": f"ARCHIVE@127.0.0.1:{archive.port}",
        "CXR_SERVICE_URL": str(server.base_url),
        "CXR_PACS_SERVICE_KEY": KEY,
    }
    command = [sys.executable, "-m", "app.pacs"]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **settings}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            log = iter(process.stderr)
            films = next(filter(None, (re.search(r"AE CXR on .*:(\d+)", line) for line in log)))
            health = next(filter(None, (re.search(r"health on http://(\S+)", s) for s in log)))
            yield Node(int(films[1]), health[1])
        finally:
            process.terminate()
    archive.stop()


class Node(NamedTuple):
    """Where a node takes films, and where it tells its metrics."""

    port: int
    metrics: str


@pytest.fixture(scope="module")
def prometheus(
    server: httpx.Client, node: Node, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """One that asks server and node every second, by our own configuration and rules."""
    program = find_tool("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(config["global"], f"{SCRAPE_S}s")
    del config["alerting"]
    config["rule_files"] = [str(RULES / "alerts.yml")]
    service, pacs = config["scrape_configs"]
    service["authorization"] = {"credentials": KEY}
    service["static_configs"] = [{"targets": [f"127.0.0.1:{server.base_url.port}"]}]
    del pacs["dns_sd_configs"]
    pacs["static_configs"] = [{"targets": [node.metrics]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port_of(process)}"
            wait_until_ready(f"{address}/-/ready")
            with httpx.Client(base_url=f"{address}/api/v1") as client:
                yield client
        finally:
            process.terminate()


def wait_until_ready(address: str) -> None:
    """It listens before it answers, and says 503 meanwhile."""

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(address).status_code == httpx.codes.OK
        return False

    wait_until(answers)


def ask(prometheus: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = prometheus.get("/query", params={"query": query})
    assert answer.status_code == 200, f"{query}: {answer.text}"
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


@pytest.fixture(scope="module")
def watched(server: httpx.Client, node: Node, prometheus: httpx.Client) -> httpx.Client:
    """The same, once it has seen answers, refusals, explanations and films come and grow."""
    picture, film = encode(draw_radiograph()), draw_film()
    seen = (
        "cxr:predictions:ratio_6h and on () cxr:gate_refusals:ratio_1h and on () "
        "sum(rate(cxr_pacs_film_seconds_count[1m])) > 0"
    )

    def has_seen_it() -> bool:
        server.post("/predict", content=picture)
        server.post("/explain", content=picture)
        server.post("/predict", content=b"hello")
        send(node.port, film)
        return bool(ask(prometheus, seen))

    wait_until(has_seen_it)
    return prometheus


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_dashboard_finds_something(query: str, watched: httpx.Client) -> None:
    found = ask(watched, query.replace("$__rate_interval", "1m"))
    assert found, query
    assert [series for series in found if series["value"][1] != "NaN"], query


def test_no_alert_is_raised_by_a_service_that_is_well(watched: httpx.Client) -> None:
    alerts = watched.get("/alerts").json()["data"]["alerts"]
    raised = {alert["labels"]["alertname"] for alert in alerts}
    assert raised - OF_SPEED == set()


@pytest.mark.parametrize("whose", ["service", "node"])
def test_prometheus_own_tool_accepts_the_metrics(
    server: httpx.Client, node: Node, whose: str
) -> None:
    url = "/metrics" if whose == "service" else f"http://{node.metrics}/metrics"
    text = server.get(url).content
    done = subprocess.run(
        [find_tool("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
