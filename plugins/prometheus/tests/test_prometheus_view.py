"""Who may read the metrics, in which formats, and what is shipped for who reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import reverse
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from django_celery_results_prometheus import metrics
from django_celery_results_prometheus.exposition import DatabaseCollector, make_registry, render
from django_celery_results_prometheus.gauges import GAUGES
from django_celery_results_prometheus.views import metrics as view

if TYPE_CHECKING:
    from django.test import Client

    from tests.configuring import Configure

pytestmark = [pytest.mark.django_db, pytest.mark.urls("plugins.prometheus.tests.prometheus_urls")]

URL = "/metrics/"
FOLDER = Path(__file__).resolve().parent.parent
#: As it is installed: whoever has the package has them.
PACKAGE = Path(metrics.__file__).parent
PAGES = [FOLDER / "README.md", FOLDER.parent.parent / "docs" / "plugins" / "prometheus.md"]


# -- Who may -------------------------------------------------------------------------


def test_nobody_may_unless_the_site_says_so(client: Client) -> None:
    """And nothing is collected for them."""
    answer = client.get(URL)
    assert (401, "Bearer") == (answer.status_code, answer["WWW-Authenticate"])
    assert b"celery_results" not in answer.content


@pytest.mark.parametrize(
    ("is_staff", "is_active", "status"),
    [(True, True, 200), (False, True, 401), (True, False, 401)],
)
def test_staff_may(client: Client, is_staff: bool, is_active: bool, status: int) -> None:
    """Members who are logged in and have not left."""
    user = User.objects.create_user("ann", is_staff=is_staff, is_active=is_active)
    client.force_login(user)
    assert status == client.get(URL).status_code


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer geheim", 200),
        ("bearer  geheim", 200),
        ("Bearer geheime", 401),
        ("Bearer ä", 401),
        ("Bearer", 401),
        ("Basic geheim", 401),
        ("geheim", 401),
    ],
)
def test_bearer_of_the_token_may(
    client: Client, configure: Configure, header: str, status: int
) -> None:
    """Of exactly that one."""
    configure(prometheus={"TOKEN": "geheim"})
    assert status == client.get(URL, headers={"Authorization": header}).status_code


@pytest.mark.parametrize("header", ["Bearer", "Bearer None", "Bearer "])
def test_no_token_is_none(client: Client, header: str) -> None:
    """Where the site has set none, none is right."""
    assert 401 == client.get(URL, headers={"Authorization": header}).status_code


def test_everybody_may_where_the_site_says_so(client: Client, configure: Configure) -> None:
    """For one that is protected otherwise."""
    configure(prometheus={"PUBLIC": True})
    assert 200 == client.get(URL).status_code


def test_site_without_users() -> None:
    """Has no staff either."""
    assert 401 == view(RequestFactory().get(URL)).status_code


def test_metrics_are_only_read(client: Client) -> None:
    """With GET or HEAD."""
    assert 405 == client.post(URL).status_code


# -- What they read ------------------------------------------------------------------


@pytest.fixture
def _public(configure: Configure) -> None:
    configure(prometheus={"PUBLIC": True})


@pytest.mark.usefixtures("_public")
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_format_is_the_scrapers(client: Client, accept: str, content_type: str) -> None:
    """That of Prometheus, or of OpenMetrics."""
    metrics.stored.labels("format", "SUCCESS").inc()
    answer = client.get(URL, headers={"Accept": accept})
    assert content_type == answer["Content-Type"].partition(";")[0]
    assert b'celery_results_stored_total{state="SUCCESS",task="format"}' in answer.content


@pytest.mark.usefixtures("_public")
def test_answer_is_not_cached(client: Client) -> None:
    """By nobody in between."""
    assert "no-store" in client.get(URL)["Cache-Control"]


def names(text: str) -> set[str]:
    """The names of the samples in an answer."""
    families = text_string_to_metric_families(text)
    return {sample.name for family in families for sample in family.samples}


def test_registry_has_what_is_counted_and_what_is_asked() -> None:
    """And what other libraries count."""
    metrics.stored.labels("registry", "SUCCESS").inc()
    expected = {"celery_results_stored_total", "python_info"}
    expected |= {gauge.name for gauge in GAUGES}
    assert expected <= names(generate_latest(make_registry()).decode())
    assert expected <= names(render()[0].decode())


def test_exporter_of_the_sites_own_takes_the_gauges_alone() -> None:
    """What is counted is in the client's own registry, which it has."""
    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    found = names(generate_latest(registry).decode())
    assert {*(gauge.name for gauge in GAUGES), "celery_results_failed_gauges"} == found


def test_machine_without_a_site_serves_what_is_counted() -> None:
    """And asks no database: the example of the documentation, on a port that is free."""
    metrics.stored.labels("served", "SUCCESS").inc()
    serve = run_path(str(Path(__file__).with_name("prometheus_server.py")))["serve"]
    server, thread = serve(0)
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            found = names(answer.read().decode())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert {"celery_results_stored_total"} == found & {
        "celery_results_stored_total",
        "celery_results_rows",
    }


def test_registry_of_several_processes_has_no_counters_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this process has in memory is not in the directory."""
    metrics.stored.labels("memory", "SUCCESS").inc()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert "celery_results_stored_total" not in names(render()[0].decode())


def test_directory_that_is_missing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better than counters that are silently zero."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="PROMETHEUS_MULTIPROC_DIR"):
        make_registry()


# -- What is shipped -----------------------------------------------------------------


def known() -> set[str]:
    """The name of every sample that the plugin's metrics can have."""
    found = {gauge.name for gauge in DatabaseCollector().describe()}
    for metric in metrics.COUNTED:
        family = next(iter(metric.describe()))
        ends = ["_total"] if family.type == "counter" else ["_bucket", "_sum", "_count"]
        found |= {f"{family.name}{end}" for end in ends}
    return found


def queries() -> list[str]:
    """The queries of the dashboard."""
    dashboard = json.loads((PACKAGE / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_metric_of_the_dashboard_exists() -> None:
    """None was renamed without it."""
    asked = set(re.findall(r"celery_results_\w+", " ".join(queries())))
    assert set() == asked - known()
    assert len(asked) > 10


def test_every_label_of_the_dashboard_exists() -> None:
    """As above."""
    labels = {name for metric in metrics.COUNTED for name in metric._labelnames} | {"le"}
    asked = re.findall(r"by \(([^)]*)\)", " ".join(queries()))
    assert set() == {name.strip() for one in asked for name in one.split(",")} - labels


def test_dashboard_shows_every_metric() -> None:
    """There is a panel for each."""
    text = " ".join(queries())
    shown = [name for name in known() if name.removesuffix("_count").removesuffix("_sum") in text]
    assert known() == set(shown)


def test_panels_of_the_dashboard_have_ids_and_places_of_their_own() -> None:
    """Grafana shows one of two that share either."""
    dashboard = json.loads((PACKAGE / "grafana-dashboard.json").read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    ids = {panel["id"] for panel in panels}
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert [len(panels)] * 2 == [len(ids), len(places)]


def test_scrape_configuration_asks_the_view() -> None:
    """With the token, at the path that the README includes the URLs at."""
    text = (PACKAGE / "prometheus.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert (URL, "Bearer") == (job["metrics_path"], job["authorization"]["type"])
    assert URL == reverse("celery-results-metrics")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_is_described(page: Path) -> None:
    """In the README and in the documentation."""
    text = page.read_text(encoding="utf-8")
    ends = ("_bucket", "_sum", "_count")
    wanted = {name for name in known() if not name.endswith(ends)}
    wanted.add("celery_results_storage_seconds")
    assert [] == sorted(name for name in wanted if f"`{name}`" not in text)


def test_metrics_are_in_the_clients_own_registry() -> None:
    """So that an exporter of the site's own has them."""
    own = {family.name for family in REGISTRY.collect()}
    assert set() == {next(iter(metric.describe())).name for metric in metrics.COUNTED} - own


def test_every_metric_has_a_label() -> None:
    """One without would open its file on import, and could keep the plugin from loading."""
    unlabelled: list[Any] = [one for one in metrics.COUNTED if not one._labelnames]
    assert [] == unlabelled
