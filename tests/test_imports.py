"""Every module can be imported with the core dependencies alone, and the command line is quick about it."""

import subprocess
import sys
from pathlib import Path

import tempo

ROOT = Path(tempo.__path__[0])

# Runs in a process of its own. Whatever is neither tempo, nor the standard library, nor among what tempo's
# core requirements draw in cannot be found.
IMPORT_ALL = """
import importlib, importlib.metadata as metadata, pkgutil, re, sys

def core(name, seen):
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name in seen:
        return seen
    try:
        requirements = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return seen  # for another platform or another Python
    seen.add(name)
    for requirement in requirements:
        if "extra ==" not in requirement and "extra==" not in requirement:
            core(re.match(r"[A-Za-z0-9._-]+", requirement)[0], seen)
    return seen

allowed = core("tempo-video", set())
assert {"torch", "transformers", "av"} <= allowed, allowed
blocked = {
    module
    for module, distributions in metadata.packages_distributions().items()
    if not any(re.sub(r"[-_.]+", "-", d).lower() in allowed for d in distributions)
}
assert "pytest" in blocked, blocked

class Without:
    # A finder that does not find what is blocked.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
import tempo
names = [m.name for m in pkgutil.walk_packages(tempo.__path__, "tempo.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_every_module_imports_with_the_core_dependencies_alone():
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules = [path for path in ROOT.rglob("*.py") if path.name not in ("__main__.py", "__init__.py")]
    packages = [path for path in ROOT.rglob("__init__.py") if path.parent != ROOT]
    assert int(done.stdout) == len(modules) + len(packages), "a package lacks its __init__.py"


# Modules of Unix are hidden from tempo alone: what other libraries do without them is theirs.
IMPORT_ALL_ELSEWHERE = """
import builtins, importlib, pkgutil, signal, sys
from pathlib import Path

HIDDEN = {"resource", "fcntl", "termios", "tty", "pty", "pwd", "grp", "readline", "curses", "syslog"}
plain = builtins.__import__
def without_unix(name, globals=None, locals=None, fromlist=(), level=0):
    asking = (globals or {}).get("__name__", "")
    if name in HIDDEN and asking.partition(".")[0] == "tempo":
        raise ModuleNotFoundError(f"No module named {name!r}, for {asking}", name=name)
    return plain(name, globals, locals, fromlist, level)
builtins.__import__ = without_unix

import tempo
names = [m.name for m in pkgutil.walk_packages(tempo.__path__, "tempo.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
assert {"tempo.batch.result_log", "tempo.checkpoints.hub", "tempo.inference.memory_plan"} <= set(names)

# And what stands on them does without.
from tempo import host_memory
from tempo.batch.processes import _without_ctrl_c
from tempo.batch.result_log import Results
from tempo.storage.file_lock import lock
assert host_memory.resource is None
host_memory.allow_many_open_files()
del signal.pthread_sigmask
with _without_ctrl_c():
    pass
path = Path(sys.argv[1])
with path.open("wb") as file:
    assert lock(file, wait=False) is None
results = Results(path)
results.append({"id": 1, "video_path": "v", "query": "q", "settings": {}, "answer": "a"})
results.close()
assert len(Results(path).records) == 1
"""


def test_every_module_imports_where_modules_of_unix_are_missing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_ELSEWHERE, str(tmp_path / "locked")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_help_and_the_bare_package_import_nothing_heavy():
    heavy = "{'torch', 'pandas', 'IPython', 'matplotlib'} & set(sys.modules)"
    for code in (
        f"import tempo, sys; sys.exit(bool({heavy}))",
        f"import tempo.cli.main, tempo.cli.ask, sys; sys.exit(bool({heavy}))",
    ):
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, code
