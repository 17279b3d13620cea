"""Who may read the metrics, in which formats, and the files shipped for scrapers and Grafana."""

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
#: The installed package, which contains the files.
PACKAGE = Path(metrics.__file__).parent
PAGES = [FOLDER / "README.md", FOLDER.parent.parent / "docs" / "plugins" / "prometheus.md"]


# -- Who may read --------------------------------------------------------------------


def test_metrics_are_private_by_default(client: Client) -> None:
    """They are not even collected."""
    answer = client.get(URL)
    assert (401, "Bearer") == (answer.status_code, answer["WWW-Authenticate"])
    assert b"celery_results" not in answer.content


@pytest.mark.parametrize(
    ("is_staff", "is_active", "status"),
    [(True, True, 200), (False, True, 401), (True, False, 401)],
)
def test_active_staff_may_read(
    client: Client, is_staff: bool, is_active: bool, status: int
) -> None:
    """Other users may not."""
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
def test_client_with_the_token_may_read(
    client: Client, configure: Configure, header: str, status: int
) -> None:
    """Only with exactly this token."""
    configure(prometheus={"TOKEN": "geheim"})
    assert status == client.get(URL, headers={"Authorization": header}).status_code


@pytest.mark.parametrize("header", ["Bearer", "Bearer None", "Bearer "])
def test_missing_token_matches_nothing(client: Client, header: str) -> None:
    """If the site has set no token, none is accepted."""
    assert 401 == client.get(URL, headers={"Authorization": header}).status_code


def test_everyone_may_read_if_the_setting_says_so(client: Client, configure: Configure) -> None:
    """For a site that protects the URL in another way."""
    configure(prometheus={"PUBLIC": True})
    assert 200 == client.get(URL).status_code


def test_site_without_users_has_no_staff() -> None:
    """Its requests lack a user."""
    assert 401 == view(RequestFactory().get(URL)).status_code


def test_metrics_accept_only_get_and_head(client: Client) -> None:
    """They are never written to."""
    assert 405 == client.post(URL).status_code


# -- The response --------------------------------------------------------------------


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
def test_format_is_the_one_that_the_scraper_accepts(
    client: Client, accept: str, content_type: str
) -> None:
    """Prometheus or OpenMetrics."""
    metrics.stored.labels("format", "SUCCESS").inc()
    answer = client.get(URL, headers={"Accept": accept})
    assert content_type == answer["Content-Type"].partition(";")[0]
    assert b'celery_results_stored_total{state="SUCCESS",task="format"}' in answer.content


@pytest.mark.usefixtures("_public")
def test_response_is_not_cached(client: Client) -> None:
    """Not by any proxy."""
    assert "no-store" in client.get(URL)["Cache-Control"]


def names(text: str) -> set[str]:
    """Return the names of the samples in a response."""
    families = text_string_to_metric_families(text)
    return {sample.name for family in families for sample in family.samples}


def test_registry_has_counters_and_gauges() -> None:
    """And the metrics of other libraries."""
    metrics.stored.labels("registry", "SUCCESS").inc()
    expected = {"celery_results_stored_total", "python_info"}
    expected |= {gauge.name for gauge in GAUGES}
    assert expected <= names(generate_latest(make_registry()).decode())
    assert expected <= names(render()[0].decode())


def test_own_exporter_can_register_only_the_gauges() -> None:
    """The counters are in the client's own registry, which such an exporter has already."""
    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    found = names(generate_latest(registry).decode())
    assert {*(gauge.name for gauge in GAUGES), "celery_results_failed_gauges"} == found


def test_machine_without_a_site_serves_the_counters() -> None:
    """Without a query to the database; the documentation shows this example."""
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


def test_multiprocess_registry_has_no_counters_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counters in this process's memory are not in the directory."""
    metrics.stored.labels("memory", "SUCCESS").inc()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert "celery_results_stored_total" not in names(render()[0].decode())


def test_missing_directory_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters that are silently zero would be worse."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="PROMETHEUS_MULTIPROC_DIR"):
        make_registry()


# -- The shipped files ---------------------------------------------------------------


def known() -> set[str]:
    """Return the names of all samples that the plugin's metrics can have."""
    found = {gauge.name for gauge in DatabaseCollector().describe()}
    for metric in metrics.COUNTED:
        family = next(iter(metric.describe()))
        ends = ["_total"] if family.type == "counter" else ["_bucket", "_sum", "_count"]
        found |= {f"{family.name}{end}" for end in ends}
    return found


def queries() -> list[str]:
    """Return the queries of the dashboard."""
    dashboard = json.loads((PACKAGE / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_metric_of_the_dashboard_exists() -> None:
    """A renamed metric has to be renamed there too."""
    asked = set(re.findall(r"celery_results_\w+", " ".join(queries())))
    assert set() == asked - known()
    assert len(asked) > 10


def test_every_label_of_the_dashboard_exists() -> None:
    """The same for labels."""
    labels = {name for metric in metrics.COUNTED for name in metric._labelnames} | {"le"}
    asked = re.findall(r"by \(([^)]*)\)", " ".join(queries()))
    assert set() == {name.strip() for one in asked for name in one.split(",")} - labels


def test_dashboard_shows_every_metric() -> None:
    """Each has a panel."""
    text = " ".join(queries())
    shown = [name for name in known() if name.removesuffix("_count").removesuffix("_sum") in text]
    assert known() == set(shown)


def test_panels_of_the_dashboard_have_unique_ids_and_places() -> None:
    """Of two panels with the same id or place, Grafana shows one."""
    dashboard = json.loads((PACKAGE / "grafana-dashboard.json").read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    ids = {panel["id"] for panel in panels}
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert [len(panels)] * 2 == [len(ids), len(places)]


def test_scrape_configuration_matches_the_view() -> None:
    """It sends the token, to the path that the README uses."""
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
    """A site's own exporter then has them too."""
    own = {family.name for family in REGISTRY.collect()}
    assert set() == {next(iter(metric.describe())).name for metric in metrics.COUNTED} - own


def test_every_metric_has_a_label() -> None:
    """One without would open its file on import, and could keep the plugin from loading."""
    unlabelled: list[Any] = [one for one in metrics.COUNTED if not one._labelnames]
    assert [] == unlabelled
