"""The translations: complete, compiled, and in use."""

from __future__ import annotations

import ast
import gettext
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import translation

import django_celery_results
from django_celery_results.models import TaskResult
from tests import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.alike

PACKAGE = Path(django_celery_results.__file__).parent
LANGUAGES = ("es", "pt_BR", "ru", "zh_Hans")
CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext"}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


def catalog(language: str) -> dict[str, list[str]]:
    """Return the compiled translations by message; a message with a plural has several."""
    path = PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo"
    return read_catalog(path)


def read_catalog(path: Path) -> dict[str, list[str]]:
    """Return the translations in a compiled file."""
    with path.open("rb") as file:
        entries: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # nothing public lists them
    found: dict[str, list[str]] = {}
    for key, text in sorted(entries.items(), key=str):
        found.setdefault(key if isinstance(key, str) else key[0], []).append(text)
    found.pop("")
    return found


def messages_in(tree: ast.AST) -> Iterator[str]:
    """Yield the messages that a module marks for translation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield ast.literal_eval(node.args[0])


def messages_of_the_package() -> set[str]:
    """Return every message that the package marks for translation."""
    sources = [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    return {message for tree in trees for message in messages_in(tree)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated(language: str) -> None:
    """No message is missing, and no unused one is left."""
    assert messages_of_the_package() == set(catalog(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_kept(language: str) -> None:
    """A translation with another placeholder would fail when it is shown."""
    for message, texts in catalog(language).items():
        for text in texts:
            assert set(PLACEHOLDER.findall(message)) == set(PLACEHOLDER.findall(text)), message


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_files_are_up_to_date(language: str, tmp_path: Path) -> None:
    """The shipped files equal what ``msgfmt`` makes of the texts."""
    if shutil.which("msgfmt") is None:
        (pytest.fail if settings.REQUIRE_SERVICES else pytest.skip)("msgfmt is not installed")
    source = PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po"
    compiled = tmp_path / "django.mo"
    subprocess.run(["msgfmt", "--check-format", "-o", compiled, source], check=True, timeout=60)
    assert read_catalog(compiled) == catalog(language)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("es", "Nombre de la tarea"),
        ("pt-br", "Nome da tarefa"),
        ("ru", "Имя задачи"),
        ("zh-hans", "任务名称"),
        ("de", "Task Name"),
    ],
)
def test_labels_follow_the_readers_language(language: str, expected: str) -> None:
    """Without a translation, the label is English."""
    with translation.override(language):
        assert expected == str(TaskResult.task_name.field.verbose_name)


@pytest.mark.parametrize(
    ("language", "count", "expected"),
    [
        ("ru", 1, "Обработчикам отправлена просьба прервать 1 задачу."),
        ("ru", 3, "Обработчикам отправлена просьба прервать 3 задачи."),
        ("ru", 5, "Обработчикам отправлена просьба прервать 5 задач."),
        ("es", 2, "Se pidió a los workers terminar 2 tareas."),
        ("zh-hans", 2, "已请求工作进程终止 2 个任务。"),
    ],
)
def test_numbers_take_the_right_form(language: str, count: int, expected: str) -> None:
    """Each language has as many plural forms as it needs."""
    one, many = (
        "Asked the workers to end %(count)d task.",
        "Asked the workers to end %(count)d tasks.",
    )
    with translation.override(language):
        assert expected == translation.ngettext(one, many, count) % {"count": count}
