# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package as people install it: with pip, conda, EUPS and make."""

from __future__ import annotations

import ast
import datetime
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click.testing
import jinja2
import lsst.ts.calibrationscripts
import pytest
import yaml
from lsst.ts.calibrationscripts.cli import ExitCode, _installation, main
from lsst.ts.calibrationscripts.cli._display import access_hint
from lsst.ts.calibrationscripts.config import load_schema
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS
from lsst.ts.calibrationscripts.outcomes import Certification, RunState
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
from lsst.ts.calibrationscripts.proof import FrameRecord, Proof
from lsst.ts.calibrationscripts.record import JobRecord
from lsst.ts.calibrationscripts.report import RunReport

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "lsst" / "ts" / "calibrationscripts"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]

EXECUTABLES = [name for camera in INSTRUMENTS.values() for name in camera.scripts]
DECIDING = [f"{folder}/decide_calibrations.py" for folder in LATISS.script_folders]

OBSERVATORY = {"ts-observatory-control", "ts-salobj", "ts-utils", "ts-xml"}
"""What the observatory's own channel has, and PyPI has not."""

TIMEOUT = 600.0


def queue_rule(root: Path) -> list[str]:
    """Return what ts_scriptqueue lists below a folder.

    Its ``utils.find_public_scripts``: executable files whose names do not
    begin with a dot or an underscore, outside folders that begin with a dot.
    """
    return sorted(
        str(file.relative_to(root))
        for folder, subfolders, names in os.walk(root)
        if subfolders.sort() is None
        for file in (Path(folder, name) for name in names)
        if file.name[0] not in "._"
        and os.access(file, os.X_OK)
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
    )


def versions(requirements: list[str]) -> dict[str, str]:
    """Return what follows each name, both as PyPI writes them."""
    found = (re.fullmatch(r"([\w.-]+?)(?:\[[\w,]+\])?\s*([<>=~!].*)?", text) for text in requirements)
    return {match[1].lower().replace("_", "-"): match[2] or "" for match in found if match is not None}


BASE = versions(PROJECT["project"]["dependencies"])


def bare_environment(**changes: str) -> dict[str, str]:
    """Return the environment without what leads to these sources."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MAKE", "VENV"))}
    return env | changes


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=bare_environment(**environment),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def succeed(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_sources(target: Path) -> None:
    """Copy what a checkout has; nothing that a build has left."""
    target.mkdir()
    for name in ("LICENSE", "Makefile", "README.md", "pyproject.toml", "requirements.txt", "setup.cfg"):
        shutil.copy(ROOT / name, target)
    for name in ("bin", "python", "schema", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.dist-info")
        shutil.copytree(ROOT / name, target / name, symlinks=True, ignore=ignored)


# --- what is declared -----------------------------------------------------


def imported_distributions(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the files below a folder, and the distributions they import."""
    providers = importlib.metadata.packages_distributions()
    for file in folder.rglob("*.py"):
        name = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                top, *rest = module.split(".")
                if top == "lsst" and rest[0] != "ts":
                    yield name, "-".join([top, *rest[:2]]) if rest[0] in _TWO_PARTS else f"lsst-{rest[0]}"
                elif top != "lsst" and top not in sys.stdlib_module_names:
                    yield name, providers[top][0].lower()


_TWO_PARTS = {"ctrl", "daf", "pex", "pipe"}


def test_the_base_install_has_what_is_imported_outside_the_simulation() -> None:
    missing = {
        (file, distribution)
        for file, distribution in imported_distributions(PACKAGE)
        if not file.startswith(("bps/", "desk/", "simulation/")) and distribution not in BASE
    }
    assert missing == {
        # Without it, doctor looks at the text of pipelines alone.
        ("butler/_pipeline_tasks.py", "lsst-pipe-base"),
        # Without it, a configuration with notify is refused.
        ("observatory/notifying.py", *versions(EXTRAS["notify"])),
    }


def test_the_extra_has_what_the_simulation_alone_imports() -> None:
    imported = {distribution for _, distribution in imported_distributions(PACKAGE / "simulation")}
    assert imported - set(BASE) == set(versions(EXTRAS["simulation"]))


def test_the_extra_has_what_the_desk_alone_imports() -> None:
    imported = {distribution for _, distribution in imported_distributions(PACKAGE / "desk")}
    # starlette imports it to read forms.
    assert imported - set(BASE) | {"python-multipart"} == set(versions(EXTRAS["desk"]))


def test_the_extra_has_what_the_batch_systems_need() -> None:
    imported = {distribution for _, distribution in imported_distributions(PACKAGE / "bps")}
    # A workflow runs these; they are not imported.
    programs = {"lsst-ctrl-bps-parsl", "lsst-ctrl-mpexec", "parsl"}
    assert imported - set(BASE) | programs == set(versions(EXTRAS["bps"]))


def test_dependencies_have_lower_bounds_only() -> None:
    bounds = {**BASE, **versions(EXTRAS["simulation"])}
    assert [name for name, bound in bounds.items() if not re.fullmatch(r">=[\d.]+", bound)] == []


def test_every_dependency_is_pinned() -> None:
    pinned = versions([line.partition(";")[0].strip() for line in _lines("requirements.txt")])
    declared = [*BASE, *(name for extra in EXTRAS.values() for name in versions(extra))]
    assert [name for name in declared if not pinned.get(name, "").startswith("==")] == []


def _lines(name: str) -> list[str]:
    return (ROOT / name).read_text().splitlines()


def conda_recipe() -> dict[str, Any]:
    """Render the recipe, with stand-ins for what conda-build gives."""
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(  # noqa: S701
        (ROOT / "conda" / "meta.yaml").read_text()
    )
    recipe = yaml.safe_load(
        template.render(
            environ={"GIT_DESCRIBE_TAG": "v1.2.3", "GIT_DESCRIBE_NUMBER": "4"},
            PYTHON="/prefix/bin/python",
            python="3.12",
            salobj_version="",
            xml_version="",
        )
    )
    assert isinstance(recipe, dict)
    return recipe


def conda_versions(requirements: list[str]) -> Mapping[str, str]:
    words = (text.split() for text in requirements)
    names = {name: " ".join(bound) for name, *bound in words}
    names["matplotlib"] = names.pop("matplotlib-base", "")
    return {name: bound for name, bound in names.items() if name not in ("python", "pip")}


def test_the_conda_recipe_needs_what_the_project_needs() -> None:
    recipe = conda_recipe()
    assert recipe["package"] == {"name": PROJECT["project"]["name"], "version": "1.2.3"}
    found = conda_versions(recipe["requirements"]["run"])
    assert {name: bound for name, bound in found.items() if name not in OBSERVATORY} == BASE
    assert found.keys() >= OBSERVATORY


def test_the_conda_recipe_builds_as_the_project_does() -> None:
    recipe = conda_recipe()
    host = [text.replace(" ", "") for text in recipe["requirements"]["host"]]
    assert set(PROJECT["build-system"]["requires"]) <= set(host)
    [command] = recipe["build"]["entry_points"]
    assert command.split(" = ") == ["calibscripts", PROJECT["project"]["scripts"]["calibscripts"]]


def test_eups_has_the_packages_of_sal_and_the_command() -> None:
    table = (ROOT / "ups" / "ts_calibrationscripts.table").read_text()
    required = {name.replace("_", "-") for name in re.findall(r"setupRequired\((\w+)\)", table)}
    assert required >= {*OBSERVATORY, "daf-butler"}
    assert "envPrepend(PATH, ${PRODUCT_DIR}/bin)" in table
    assert os.access(ROOT / "bin" / "calibscripts", os.X_OK)


def test_before_a_commit_runs_what_make_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [hook["entry"] for hook in hooks] == ["make lint", "make types"]


def test_the_citation_has_the_fields_of_its_format() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == PROJECT["project"]["license"]


def test_every_news_fragment_has_an_issue_and_a_type_that_towncrier_knows() -> None:
    types = "|".join(kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"])
    names = [file.name for file in (ROOT / "doc" / "news").iterdir() if file.name != "README.rst"]
    assert [name for name in names if not re.fullmatch(rf"\d+\.(?:{types})\.rst", name)] == []


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    _, _, shown = makefile.partition("\nhelp:\n")
    assert set(re.findall(r"make ([a-z]+)", shown)) == set(phony.split())


# --- what is said ---------------------------------------------------------


def test_the_version_is_that_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"1.2.3 of {name}")
    assert lsst.ts.calibrationscripts.__version__ == "1.2.3 of ts-calibrationscripts"
    shown = click.testing.CliRunner().invoke(main, ["--version"])
    assert shown.output == "calibscripts, version 1.2.3 of ts-calibrationscripts\n"


def test_sources_that_are_not_installed_have_an_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_found)
    assert lsst.ts.calibrationscripts.__version__ == "unknown"


def test_the_package_has_no_other_lazy_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        _ = lsst.ts.calibrationscripts.version


@pytest.mark.parametrize("options", [[], ["--list-faults"]])
def test_simulate_without_its_extra_names_the_command(
    options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an installation without the extra: one package, and one module.
    extra = {"lsst.not_here.base": "lsst-not-here", "pydantic": "pydantic", "not_here": "not-here"}
    monkeypatch.setattr(_installation, "SIMULATION_EXTRA", extra)
    # When something is simulated.
    done = click.testing.CliRunner().invoke(main, ["simulate", *options])
    # Then what is missing is named, with the command that installs it.
    assert done.exit_code == ExitCode.SCRIPT_FAILED
    assert done.output == (
        "The simulated observatory needs lsst-not-here, not-here, not installed here: "
        "run pip install 'ts-calibrationscripts[simulation]'.\n"
    )


def test_simulate_looks_for_all_of_its_extra() -> None:
    assert set(_installation.SIMULATION_EXTRA.values()) == set(versions(EXTRAS["simulation"]))
    assert _installation.simulation_hint() is None


def test_what_opens_a_calibration_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/my work/bin/python")
    certification = Certification("bias", "u/ocps/1", "LATISS/calib", "2026-11-01", "2026-12-01")
    begin = datetime.datetime(2026, 11, 25, 18, tzinfo=datetime.UTC).timestamp()
    request = JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), (2026112500001,))
    proof = Proof(
        Subject(Product.BIAS),
        certification,
        datasets=(),
        frames=(FrameRecord(2026112500001, "BIAS", "empty_1", begin, begin + 1),),
        generation=JobRecord(StageId(StageKind.GENERATE, Subject(Product.BIAS)), "1", request),
        verification=None,
        verdicts=(),
    )
    report = RunReport(
        RunState.DONE, certifications=(certification,), proofs=(proof,), config={"detectors": []}
    )
    hint = access_hint(report, Path("/my work/repo"), LATISS)
    assert hint is not None
    executable, option, code = shlex.split(hint.splitlines()[1])
    assert (executable, option) == ("/my work/bin/python", "-c")
    compile(code, "pasted", "exec")


def test_the_command_is_a_module_too(tmp_path: Path) -> None:
    sources = str(ROOT / "python")
    for command in (
        [sys.executable, "-m", "lsst.ts.calibrationscripts"],
        [sys.executable, ROOT / "bin/calibscripts"],
    ):
        assert "make_latiss_calibrations" in succeed(*command, "schema", cwd=tmp_path, PYTHONPATH=sources)


# --- what is installed ----------------------------------------------------


class Installation:
    """The wheel in an environment of its own; blanks in every path."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "with blanks"
        copy_sources(self.sources)
        self.folder = folder / "a fresh environment"
        venv.create(self.folder, with_pip=False)
        self.bin = self.folder / "bin"
        self.python = self.bin / "python"

    @property
    def site(self) -> Path:
        [site] = self.folder.glob("lib/python*/site-packages")
        return site

    @property
    def scripts(self) -> Path:
        return self.site / "lsst" / "ts" / "calibrationscripts" / "data" / "scripts"

    def install(self) -> None:
        """Build the wheel and install it, as pip does, without network."""
        pip = (sys.executable, "-m", "pip")
        offline = ("--no-deps", "--no-index", "--quiet")
        wheels = self.folder / "wheels"
        options = (*offline, "--no-build-isolation", "--wheel-dir", wheels)
        succeed(*pip, "wheel", *options, ".", cwd=self.sources, SETUPTOOLS_SCM_PRETEND_VERSION="1.2.3")
        [wheel] = wheels.iterdir()
        succeed(*pip, "--python", self.python, "install", *offline, wheel, cwd=self.folder)
        # The dependencies are those of the environment that runs the tests.
        (self.site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    pytest.importorskip("setuptools_scm", reason="builds with what the extra dev has")
    made = Installation(tmp_path_factory.mktemp("installation"))
    made.install()
    return made


@pytest.mark.slow
def test_the_script_queue_lists_the_installed_scripts(installation: Installation) -> None:
    assert queue_rule(installation.scripts) == sorted([*DECIDING, *EXECUTABLES])
    code = "from lsst.ts.calibrationscripts import get_scripts_dir; print(get_scripts_dir())"
    found = succeed(installation.python, "-c", code, cwd=installation.folder)
    assert Path(found.rstrip("\n")) == installation.scripts.resolve()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXECUTABLES)
def test_an_installed_script_prints_its_schema(installation: Installation, name: str) -> None:
    # Started as the queue does: by its own first line, with Python on PATH.
    path = f"{installation.bin}{os.pathsep}{os.environ['PATH']}"
    printed = succeed(installation.scripts / name, "0", "--schema", cwd=installation.folder, PATH=path)
    (camera,) = (camera for camera in INSTRUMENTS.values() if name in camera.scripts)
    assert yaml.safe_load(printed) == load_schema(camera)


@pytest.mark.slow
def test_the_wheel_has_all_files_of_the_sources(installation: Installation) -> None:
    def files(package: Path) -> set[str]:
        # The schemas are below a link.
        found = (
            Path(folder, name) for folder, _, names in os.walk(package, followlinks=True) for name in names
        )
        return {str(file.relative_to(package)) for file in found if file.suffix != ".pyc"}

    installed = files(installation.scripts.parents[1])
    assert installed == files(installation.sources / "python/lsst/ts/calibrationscripts")
    assert {"py.typed", "schema/make_latiss_calibrations.yaml"} <= installed


@pytest.mark.slow
def test_the_installed_command_plans(installation: Installation) -> None:
    command = installation.bin / "calibscripts"
    assert succeed(command, "--version", cwd=installation.folder) == "calibscripts, version 1.2.3\n"
    assert "BIAS" in succeed(command, "plan", cwd=installation.folder)


# --- make -----------------------------------------------------------------

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")


@needs_make
def test_without_ensurepip_make_names_the_package_of_the_system(tmp_path: Path) -> None:
    # Given a Python as Debian installs it without python3-venv.
    (tmp_path / "ensurepip.py").write_text("raise ImportError('not in this package')\n")
    python = tmp_path / "python 3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    copy_sources(tmp_path / "sources")
    # When make is to prepare the virtual environment with it.
    done = run("make", "lint", f"PYTHON={python}", cwd=tmp_path / "sources")
    # Then it says what to install, and makes nothing.
    assert done.returncode != 0
    major, minor = sys.version_info[:2]
    assert f"apt install python{major}.{minor}-venv" in done.stderr
    assert not list((tmp_path / "sources").glob(".venv*"))


@needs_make
def test_each_python_has_an_environment_of_its_own() -> None:
    shown = succeed("make", "--dry-run", "--always-make", "lint", f"PYTHON={sys.executable}", cwd=ROOT)
    assert f".venv-{'.'.join(map(str, sys.version_info[:3]))}/bin/ruff" in shown
    assert "\n.venv/bin/ruff check" in succeed("make", "--dry-run", "--always-make", "lint", cwd=ROOT)


@needs_make
def test_a_python_that_does_not_run_is_named() -> None:
    done = run("make", "lint", "PYTHON=python3.not-here", cwd=ROOT)
    assert done.returncode != 0
    assert "PYTHON=python3.not-here does not run" in done.stderr


@needs_make
@pytest.mark.slow
def test_make_lint_passes_in_a_folder_with_a_blank(tmp_path: Path) -> None:
    # Given a checkout, and an environment that has the tools already.
    sources = tmp_path / "with blanks"
    copy_sources(sources)
    tools = sources / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("ruff", "lint-imports"):
        (tools / name).symlink_to(Path(sysconfig.get_path("scripts"), name))
    (sources / ".venv" / ".ready").touch()
    # When the code is checked, then it is clean.
    assert "0 broken" in succeed("make", "lint", cwd=sources, PYTHONPATH="python", COLUMNS="100")
